"""Histories: lines, orders and ages by hand, matrices beside a loop, blocks of customers."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from lifecycle.recommend.histories import (
    Histories,
    decayed_counts,
    order_counts,
    read_histories,
)

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
ITEMS = pl.Series(["a", "b", "c"])
ROWS = [  # customer, order, item, days before the cutoff
    ("u", "2", "a", 1.0),
    ("u", "1", "c", 4.0),
    ("u", "1", "a", 3.0),
    ("u", "1", "a", 3.5),  # a second line of the same order
    ("u", "3", "b", -1.0),  # after the cutoff
    ("w", "1", "b", 2.0),
    ("w", "4", "gone", 2.0),
    ("other", "5", "a", 2.0),
]


def purchases(rows: list[tuple[str, str, str, float]]) -> pl.DataFrame:
    columns = ["customer_id", "order_id", "item_id", "days"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    at = pl.lit(CUTOFF) - pl.duration(microseconds=(pl.col("days") * 86_400e6).cast(pl.Int64))
    return frame.select(pl.exclude("days"), occurred_at=at.dt.cast_time_unit("us"))


def histories(*customers: str) -> Histories:
    return read_histories(purchases(ROWS), pl.Series(customers), ITEMS, cutoff=CUTOFF)


def test_lines_are_distinct_and_all_of_an_order_are_of_its_last_purchase() -> None:
    found = histories("w", "nobody", "u")
    lines = list(zip(found.customer, found.order, found.item, found.age_days, strict=True))
    assert lines == [(0, 0, 1, 2.0), (2, 1, 0, 3.0), (2, 1, 2, 3.0), (2, 2, 0, 1.0)]
    assert found.num_orders.tolist() == [1, 0, 2]
    assert found.orders.tolist() == [0, 1, 3]
    assert found.pairs.last.tolist() == [0, 3, 2]


def test_counts_and_decayed_counts() -> None:
    found = histories("w", "nobody", "u")
    assert order_counts(found).toarray().tolist() == [[0, 1, 0], [0, 0, 0], [2, 0, 1]]
    expected = [[0, 0.25, 0], [0, 0, 0], [0.5 + 0.125, 0, 0.125]]
    assert decayed_counts(found, 1.0).toarray() == pytest.approx(np.array(expected))
    assert (decayed_counts(found, np.inf) != order_counts(found)).nnz == 0


def test_matrices_are_those_of_a_loop() -> None:
    random = np.random.default_rng(0)
    rows = [
        (f"c{c}", f"{c}-{day}", ITEMS[int(i)], float(day))
        for c, i, day in random.integers([6, 3, 20], size=(200, 3))
        if day > 0
    ]
    ids = pl.Series([f"c{number}" for number in range(6)])
    found = read_histories(purchases(rows), ids, ITEMS, cutoff=CUTOFF)
    expected = Counter((customer, item) for customer, _, item, _ in set(rows))
    table = order_counts(found).toarray()
    assert {(ids[c], ITEMS[i]): table[c, i] for c in range(6) for i in range(3)} == expected


def test_block_holds_what_reading_its_customers_alone_gives() -> None:
    block, alone = histories("w", "nobody", "u").block(1, 3), histories("nobody", "u")
    for name in ("customer", "order", "item", "age_days"):
        assert getattr(block, name).tolist() == getattr(alone, name).tolist()
    assert (block.num_customers, block.num_items) == (2, 3)
    assert histories("w").block(1, 9).num_customers == 0


def test_nobody_and_nothing() -> None:
    found = histories("nobody")
    assert order_counts(found).shape == (1, 3) and order_counts(found).nnz == 0
    assert found.orders.tolist() == found.pairs.last.tolist() == []
