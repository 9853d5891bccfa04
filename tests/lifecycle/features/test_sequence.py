"""Histories as numbers: what a position holds, worked by hand, and that nothing from the cutoff on is read."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.events.schema import ENCODED_KINDS, EVENT_SCHEMA
from lifecycle.features.sequence import (
    HALF_LIVES_DAYS,
    LOG_SCALE,
    QUERY_KIND,
    SequenceBatch,
    SequenceSettings,
    histories,
    sequence_batch,
    window_of,
)
from lifecycle.features.vocabulary import (
    FIRST_KNOWN,
    FIRST_TITLE,
    NONE,
    UNKNOWN,
    VocabularyRules,
    fit_vocabulary,
)

DAY = datetime(2024, 3, 1, tzinfo=UTC)
ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "category": ["Tea", "Tea", "Soap"],
        "title": ["Green tea", "Black tea", None],
    }
)
COUNTS = pl.DataFrame({"item_id": ["a", "b", "x"], "customers": [5, 2, 9]})
VOCABULARY = fit_vocabulary(COUNTS, ITEMS, VocabularyRules(min_customers=3))


def events(*rows: tuple[str, float, str, str | None, float | None]) -> pl.DataFrame:
    """(customer, day, kind, item, amount), sorted by customer and time."""
    return pl.DataFrame(
        [
            {
                "event_id": str(number),
                "customer_id": customer,
                "occurred_at": DAY + timedelta(days=day),
                "kind": kind,
                "item_id": item,
                "amount": amount,
            }
            for number, (customer, day, kind, item, amount) in enumerate(rows)
        ],
        schema=EVENT_SCHEMA,
    ).sort("customer_id", "occurred_at", maintain_order=True)


def batch_of(
    rows: pl.DataFrame,
    *keys: tuple[int, float],
    max_events: int = 10,
    history_days: int | None = None,
) -> SequenceBatch:
    """Positions of (customer number, day of the cutoff)."""
    known, settings = (
        histories(rows, VOCABULARY),
        SequenceSettings(max_events=max_events, history_days=history_days),
    )
    windows = [
        window_of(known, number, int((DAY + timedelta(days=day)).timestamp() * 1e6), settings)
        for number, day in keys
    ]
    return sequence_batch(known, windows, horizon_days=60)


def assert_equal(one: SequenceBatch, other: SequenceBatch) -> None:
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)


def test_positions_of_a_customer_by_hand() -> None:
    rows = events(
        ("1", 0, "purchase", "a", 9.0),
        ("1", 4, "refund", "b", -3.0),
        ("1", 4, "view", "z", None),
        ("1", 5, "support", None, None),
        ("1", 8, "purchase", "a", 1.0),
    )
    batch = batch_of(rows, (0, 7.0))
    assert batch.lengths.tolist() == [5]
    assert batch.item[0].tolist() == [FIRST_KNOWN + 1, UNKNOWN, UNKNOWN, NONE, NONE]
    assert batch.category[0].tolist() == [FIRST_KNOWN, FIRST_KNOWN, UNKNOWN, NONE, NONE]
    assert batch.title[0].tolist() == [FIRST_TITLE + 1, FIRST_TITLE, NONE, NONE, NONE]
    kinds = [ENCODED_KINDS.index(kind) for kind in ("purchase", "refund", "view", "support")]
    assert batch.kind[0].tolist() == [*kinds, QUERY_KIND]
    features = batch.features[0]
    np.testing.assert_allclose(
        features[:, 0] * LOG_SCALE, [math.log(10), -math.log(4), 0, 0, 0], rtol=1e-6
    )
    np.testing.assert_allclose(features[:, 1] * LOG_SCALE, np.log1p([0, 4, 0, 1, 2]), rtol=1e-5)
    np.testing.assert_allclose(features[:, 2] * LOG_SCALE, np.log1p([7, 3, 3, 2, 0]), rtol=1e-5)
    np.testing.assert_allclose(features[:, 3] * LOG_SCALE, [0, 0, 0, 0, math.log(8)], rtol=1e-5)
    np.testing.assert_allclose(features[:, 4] * LOG_SCALE, [0, 0, 0, 0, math.log(61)], rtol=1e-5)
    days = (DAY - datetime(1970, 1, 1, tzinfo=UTC)).days + np.array([0, 4, 4, 5, 7])
    np.testing.assert_allclose(features[:, 5], np.sin(2 * np.pi * days / 7.0), atol=1e-5)
    np.testing.assert_allclose(
        features[:, 6], np.sin(2 * np.pi * np.array([7, 3, 3, 2, 0]) / 28.0), atol=1e-5
    )
    sums = features[:, -len(HALF_LIVES_DAYS) :] * LOG_SCALE
    half_life = HALF_LIVES_DAYS[0]
    left = 9.0 * 2 ** (-7 / half_life) - 3.0 * 2 ** (-3 / half_life)
    assert sums[-1, 0] == pytest.approx(math.log1p(left), rel=1e-5)
    assert sums[1, 0] == pytest.approx(math.log1p(9.0 * 2 ** (-4 / half_life) - 3.0), rel=1e-5)


def test_a_history_moved_by_whole_weeks_is_read_the_same() -> None:
    rows = [("1", float(day), "purchase", "a", 2.0) for day in (0, 3, 11)]
    later = [(customer, day + 70, kind, item, amount) for customer, day, kind, item, amount in rows]
    one, other = batch_of(events(*rows), (0, 20.0)), batch_of(events(*later), (0, 90.0))
    np.testing.assert_allclose(one.features, other.features, atol=1e-6)


def test_nothing_from_the_cutoff_on_is_read() -> None:
    past = [
        ("1", 0.0, "purchase", "a", 9.0),
        ("1", 4.0, "purchase", "b", 5.0),
        ("2", 1.0, "view", "a", None),
    ]
    future = [
        ("1", 6.0, "purchase", "a", 1e6),
        ("2", 6.0, "purchase", "x", 7.0),
        ("2", 90.0, "refund", "x", -7.0),
    ]
    assert_equal(
        batch_of(events(*past, *future), (0, 6.0), (1, 6.0)),
        batch_of(events(*past), (0, 6.0), (1, 6.0)),
    )


def test_only_the_latest_events_are_read_but_sums_and_tenure_know_of_all() -> None:
    rows = events(*(("1", float(day), "purchase", "a", 1.0) for day in range(30)))
    short, long = batch_of(rows, (0, 40.0), max_events=4), batch_of(rows, (0, 40.0), max_events=100)
    assert short.lengths.tolist() == [5] and long.lengths.tolist() == [31]
    np.testing.assert_array_equal(short.features[0], long.features[0, -5:])


def test_events_older_than_history_days_are_as_if_they_had_not_been_but_for_the_latest() -> None:
    old, recent = (
        ("1", 0.0, "purchase", "a", 500.0),
        [("1", 60.0 + day, "purchase", "b", 3.0) for day in range(3)],
    )
    read = batch_of(events(old, *recent), (0, 70.0), history_days=30)
    assert_equal(read, batch_of(events(*recent), (0, 70.0)))
    assert read.lengths.tolist() == [4] and batch_of(
        events(old, *recent), (0, 70.0)
    ).lengths.tolist() == [5]
    at_the_edge = batch_of(events(*recent), (0, 92.0), history_days=30)
    assert_equal(at_the_edge, batch_of(events(recent[2]), (0, 92.0)))
    lapsed = batch_of(events(old, *recent), (0, 300.0), history_days=30)
    assert_equal(lapsed, batch_of(events(recent[2]), (0, 300.0)))
    unborn = batch_of(events(*recent), (0, 10.0), history_days=30)
    assert unborn.lengths.tolist() == [1]


def test_padding_changes_no_row() -> None:
    rows = events(
        *(("1", float(day), "purchase", "a", 1.0) for day in range(9)),
        ("2", 3.0, "view", None, None),
    )
    together, alone = batch_of(rows, (0, 20.0), (1, 20.0)), batch_of(rows, (1, 20.0))
    assert together.lengths.tolist() == [10, 2]
    np.testing.assert_array_equal(together.features[1, :2], alone.features[0])
    assert not together.features[1, 2:].any() and not together.item[1, 2:].any()


def test_customer_without_events_before_the_cutoff_is_a_query_alone() -> None:
    batch = batch_of(events(("1", 5.0, "purchase", "a", 2.0)), (0, 3.0))
    assert batch.lengths.tolist() == [1] and batch.kind[0].tolist() == [QUERY_KIND]
    assert np.isfinite(batch.features).all()


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(
        ValueError, match="hidden_size is 20; it must be a multiple of 2 x num_heads = 8"
    ):
        SequenceSettings(hidden_size=20, num_heads=4)


def test_kinds_that_members_were_not_trained_on_are_not_read() -> None:
    told = events(
        ("1", 0, "purchase", "a", 9.0),
        ("1", 2, "pause", None, None),
        ("1", 4, "resume", None, None),
        ("2", 1, "trial", "a", 0.0),
        ("3", 1, "purchase", "a", 9.0),
    )
    usual = told.filter(pl.col("kind") == "purchase")
    assert QUERY_KIND == 11, "the place of the query among the kinds of trained members"
    assert histories(told, VOCABULARY).customer_ids.to_list() == ["1", "3"]
    assert_equal(batch_of(told, (0, 7.0), (1, 7.0)), batch_of(usual, (0, 7.0), (1, 7.0)))
