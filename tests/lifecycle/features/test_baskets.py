"""Purchases order after order: what is read, what follows, by hand."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from lifecycle.features.baskets import (
    NextItemSettings,
    Windows,
    basket_batch,
    baskets,
    by_order,
    end_to_end,
    latest,
    line_by_line,
    next_orders,
    num_next_items,
)
from lifecycle.features.sequence import LOG_SCALE
from lifecycle.features.vocabulary import Vocabulary, VocabularyRules, fit_vocabulary
from tests.builders import item_lines

FIRST = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def vocabulary() -> Vocabulary:
    """Items a, b, c, d by the numbers 1 to 4."""
    items = pl.DataFrame({"item_id": list("abcd"), "category": None, "title": None})
    counts = pl.DataFrame({"item_id": list("abcd"), "customers": [9, 9, 9, 9]})
    return fit_vocabulary(counts, items.cast(pl.String), VocabularyRules())


LINES = item_lines(
    FIRST,
    ("x", 0, "o1", "a"),
    ("x", 0, "o1", "b"),
    ("x", 0, "o1", "a"),
    ("x", 3, "o2", "c"),
    ("x", 9, "o3", "d"),
    ("x", 9, "o3", "gone"),
    ("y", 1, None, "b"),
    ("y", 1.2, None, "c"),
    ("y", 2, None, "b"),
)


def test_after_an_order_come_the_items_of_the_next(vocabulary: Vocabulary) -> None:
    known = baskets(by_order(LINES), vocabulary)
    assert known.item.tolist() == [1, 2, 3, 4, 0, 2, 3, 2]
    assert known.order_start.tolist() == [0, 0, 2, 3, 3, 5, 5, 7]
    windows = Windows(np.array([0, 5]), np.array([5, 8]))
    found = next_orders(known, windows)
    # x: after a and b (place 1) comes c, after c (place 2) comes d; y, in row 1 of width 5: after b and c (6) comes b.
    assert found.places.tolist() == [1, 2, 6]
    assert list(zip(found.end, found.item, strict=True)) == [(0, 3), (1, 4), (2, 2)]
    assert num_next_items(known, windows).tolist() == [2, 1]


def test_line_by_line_every_line_follows_the_one_before(vocabulary: Vocabulary) -> None:
    known = baskets(line_by_line(LINES), vocabulary)
    windows = Windows(np.array([0]), np.array([6]))
    found = next_orders(known, windows)
    assert found.places.tolist() == [0, 1, 2, 3]
    assert found.item.tolist() == [2, 1, 3, 4]


def test_long_histories_are_cut_from_the_old_end(vocabulary: Vocabulary) -> None:
    known = baskets(line_by_line(LINES), vocabulary)
    windows = latest(known.starts[:-1], known.starts[1:], NextItemSettings(max_events=4))
    assert (windows.start.tolist(), windows.end.tolist()) == ([2, 6], [6, 9])
    batch = basket_batch(known, windows)
    assert batch.item.tolist() == [[1, 3, 4, 0], [2, 3, 2, 0]]
    assert batch.last.tolist() == [3, 6]
    days = np.expm1(LOG_SCALE * batch.gap)
    np.testing.assert_allclose(days, [[0, 3, 6, 0], [0, 0.2, 0.8, 0]], atol=1e-4)
    # Where the window begins inside an order, what came before it is not known.
    cut = Windows(np.array([1]), np.array([4]))
    assert next_orders(baskets(by_order(LINES), vocabulary), cut).item.tolist() == [3, 4]


def test_shards_end_to_end_are_as_one(vocabulary: Vocabulary) -> None:
    is_x = pl.col("customer_id") == "x"
    ordered = by_order(LINES)
    parts = [baskets(ordered.filter(chosen), vocabulary) for chosen in (is_x, ~is_x)]
    empty = baskets(ordered.clear(), vocabulary)
    whole = baskets(ordered, vocabulary)
    found = end_to_end([parts[0], empty, parts[1]])
    assert found.customer_ids.to_list() == whole.customer_ids.to_list()
    for name in ("starts", "item", "at", "order_start"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_heads_of_an_odd_width_are_refused() -> None:
    with pytest.raises(
        ValueError, match="hidden_size is 36; it must be a multiple of 2 x num_heads"
    ):
        NextItemSettings(hidden_size=36, num_heads=8)
