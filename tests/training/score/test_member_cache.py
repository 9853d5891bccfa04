"""The cache of what encoders expect: who is read again, and that nobody is lost or doubled."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from training.score.member_cache import HISTORY, MemberCache, empty_cache

NOW = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EVENTS = pl.DataFrame(
    {
        "customer_id": ["a", "a", "b", "c", "d"],
        "occurred_at": [
            NOW - 9 * DAY,
            NOW - 2 * DAY,
            NOW - 30 * DAY,
            NOW - 3 * DAY,
            NOW - 40 * DAY,
        ],
    }
).with_columns(pl.col("occurred_at").cast(pl.Datetime("us", "UTC")), amount=10.0)
BUYERS = pl.DataFrame({"customer_id": ["b", "a", "d", "c"]})


class Encoder:
    """Expects the number of a customer's events, and says whom it read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, buyers: pl.DataFrame, events: pl.DataFrame) -> np.ndarray:
        self.read += buyers["customer_id"].to_list()
        counts = dict(events.group_by("customer_id").len().iter_rows())
        return np.array([float(counts[name]) for name in buyers["customer_id"]])


def test_only_who_has_new_events_or_is_old_is_read_again() -> None:
    first, later = Encoder(), Encoder()
    before = empty_cache(["x"]).spend(BUYERS, EVENTS, NOW, {"x": first})
    assert first.read == ["b", "a", "d", "c"] and before["x"].to_list() == [1.0, 2.0, 1.0, 1.0]
    visit = {"customer_id": "a", "occurred_at": NOW + DAY, "amount": None}
    events = pl.concat([EVENTS, pl.DataFrame([visit], schema=EVENTS.schema)])
    remembered = before.with_columns(x=pl.col("x") + 100.0)
    after = MemberCache(remembered, 7).spend(BUYERS, events, NOW + 3 * DAY, {"x": later})
    assert later.read == ["a"] and after["customer_id"].to_list() == ["b", "a", "d", "c"]
    assert after["x"].to_list() == [101.0, 3.0, 101.0, 101.0]
    assert after["computed_at"].to_list() == [NOW, NOW + 3 * DAY, NOW, NOW]
    again = Encoder()
    MemberCache(after, 7).spend(BUYERS, events, NOW + 8 * DAY, {"x": again})
    assert again.read == [
        "b",
        "d",
        "c",
    ]  # those of eight days ago; the age counts from when they were read


def test_an_event_that_came_in_late_is_new() -> None:
    before, encoder = empty_cache(["x"]).spend(BUYERS, EVENTS, NOW, {"x": Encoder()}), Encoder()
    late = pl.DataFrame(
        [{"customer_id": "c", "occurred_at": NOW - 20 * DAY, "amount": 1.0}], schema=EVENTS.schema
    )
    MemberCache(before, 7).spend(BUYERS, pl.concat([EVENTS, late]), NOW + DAY, {"x": encoder})
    assert encoder.read == ["c"]


def test_an_amount_that_was_corrected_is_new() -> None:
    before, encoder = empty_cache(["x"]).spend(BUYERS, EVENTS, NOW, {"x": Encoder()}), Encoder()
    price = pl.when(pl.col("customer_id") == "d").then(12.5).otherwise("amount")
    corrected = EVENTS.with_columns(price.alias("amount"))
    MemberCache(before, 7).spend(BUYERS, corrected, NOW + DAY, {"x": encoder})
    assert encoder.read == ["d"]


def test_later_scores_say_nothing_of_an_earlier_day_and_new_customers_are_read() -> None:
    encoder = Encoder()
    before = empty_cache(["x"]).spend(BUYERS.head(2), EVENTS, NOW, {"x": Encoder()})
    MemberCache(before, 7).spend(BUYERS, EVENTS, NOW - DAY, {"x": encoder})
    assert encoder.read == ["b", "a", "d", "c"]
    other = Encoder()
    found = MemberCache(before, 7).spend(BUYERS, EVENTS, NOW, {"x": other})
    assert other.read == ["d", "c"] and found["x"].null_count() == 0
    nobody = MemberCache(before, 7).spend(BUYERS.clear(), EVENTS, NOW, {"x": other})
    assert nobody.is_empty() and nobody.columns == [*HISTORY, "computed_at", "x"]
