"""Order days of customers, summed up by hand."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from lifecycle.events.order_days import summarise


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def orders(rows: list[tuple[str, datetime, datetime, float]]) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    schema = {
        "customer_id": pl.String,
        "cutoff": instant,
        "occurred_at": instant,
        "amount": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_summary_counts_days_per_customer_and_cutoff() -> None:
    rows = [("b", at(20), at(1, 9), 5.0), ("b", at(20), at(1, 23), 7.0), ("b", at(20), at(4), 10.0)]
    rows += [("b", at(20), at(4, 1), 2.0), ("b", at(20), at(11, 5), 20.0)]
    rows += [("b", at(5), at(1, 9), 5.0), ("b", at(5), at(4), 10.0), ("a", at(20), at(19, 23), 3.0)]
    assert summarise(orders(rows)).rows() == [
        ("a", at(20), 0, 0, 1, 0.0),
        ("b", at(5), 1, 3, 4, 10.0),
        ("b", at(20), 2, 10, 19, 16.0),
    ]


def test_customers_of_one_cutoff_are_summed_up_as_among_others() -> None:
    alone = [
        ("b", at(20, 7), at(1, 9), 5.0),
        ("b", at(20, 7), at(4), 10.0),
        ("a", at(20, 7), at(20, 6), 3.0),
    ]
    together = summarise(orders([*alone, ("a", at(5), at(4), 10.0)]))
    assert summarise(orders(alone)).rows() == [
        ("a", at(20, 7), 0, 0, 0, 0.0),
        ("b", at(20, 7), 1, 3, 19, 10.0),
    ]
    assert summarise(orders(alone)).equals(together.filter(pl.col("cutoff") == at(20, 7)))
    assert summarise(orders([])).schema == together.schema


def test_days_before_1970_and_the_last_instant_of_a_day_are_days_like_others() -> None:
    rows = [
        (datetime(1969, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC), 1.0),
        (datetime(1969, 12, 31, tzinfo=UTC), 2.0),
    ]
    frame = orders(
        [
            ("a", datetime(1970, 1, 2, tzinfo=UTC), occurred_at, amount)
            for occurred_at, amount in rows
        ]
    )
    assert summarise(frame).row(0)[2:] == (1, 1, 3, 2.0)


def test_summary_does_not_depend_on_row_order() -> None:
    random = np.random.default_rng(0)
    rows = [
        (f"c{random.integers(9)}", at(28), at(int(random.integers(1, 28))), 1.5) for _ in range(200)
    ]
    frame = orders(rows)
    assert summarise(frame).equals(summarise(frame.sample(fraction=1.0, shuffle=True, seed=1)))


def test_order_at_the_cutoff_is_refused() -> None:
    with pytest.raises(ValueError, match="is not before its cutoff"):
        summarise(orders([("a", at(5), at(5), 1.0)]))
