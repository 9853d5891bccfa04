"""Popularity in segments: the attribute that tells, shares by hand, files that say the same."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from lifecycle.recommend.retrieval import Retriever
from lifecycle.recommend.segments import (
    SegmentCounts,
    Segments,
    fit_segments,
    load_segments,
    save_segments,
)
from tests.lifecycle.recommend.builders import histories_of

NUM_ITEMS = 6
POPULAR = pl.DataFrame(
    {"item_id": ["i0", "i3", "i1", "i4", "i2", "i5"], "score": [8.0, 8.0, 4.0, 4.0, 0.0, 0.0]}
)
RETRIEVER = Retriever(
    POPULAR["item_id"].sort(), POPULAR, sparse.csr_array((NUM_ITEMS, NUM_ITEMS)), 90.0, 100
)
SHARE = {"i0": 9 / 30, "i3": 9 / 30, "i1": 5 / 30, "i4": 5 / 30, "i2": 1 / 30, "i5": 1 / 30}


def shop(num_customers: int = 200) -> tuple[list[list[tuple[float, list[int]]]], pl.DataFrame]:
    """Customers of two towns, whose items differ, and of colours, by which nothing differs."""
    random = np.random.default_rng(0)
    in_north = random.random(num_customers) < 0.5
    baskets = [
        [(float(age), [int(item + (0 if north else 3))])]
        for north, item, age in zip(
            in_north,
            random.integers(0, 3, num_customers),
            random.uniform(1, 90, num_customers),
            strict=True,
        )
    ]
    attributes = pl.DataFrame(
        {
            "colour": random.choice(["blue", "green", "red"], num_customers),
            "town": np.where(in_north, "north", "south"),
        }
    )
    return baskets, attributes.with_columns(
        town=pl.when(pl.int_range(pl.len()) % 10 > 0).then("town")
    )


def test_the_attribute_that_tells_what_is_bought_is_taken() -> None:
    baskets, attributes = shop()
    # What lies longer ago than popularity looks back counts nothing.
    baskets[1].insert(0, (92.0, [0, 1, 2, 3, 4, 5]))
    segments = fit_segments(histories_of(baskets, NUM_ITEMS), attributes, RETRIEVER)
    assert segments is not None
    assert (segments.attribute, segments.values) == ("town", ("north", "south"))
    bought = segments.counts.bought.toarray()
    assert bought[0, 3:].sum() == bought[1, :3].sum() == 0
    assert bought.sum() == attributes["town"].drop_nulls().len()


def test_no_attribute_is_taken_that_tells_nothing() -> None:
    baskets, _ = shop()
    histories = histories_of(baskets, NUM_ITEMS)
    columns = pl.DataFrame(
        {"one": ["same"] * 200, "nobody": pl.Series([None] * 200, dtype=pl.String)}
    )
    for names in ([], ["one"], ["nobody"]):
        assert fit_segments(histories, columns.select(names), RETRIEVER) is None


@pytest.fixture
def segments() -> Segments:
    bought = sparse.csr_array(np.array([[0, 0, 6, 0, 0, 0], [1, 0, 0, 0, 0, 1]], dtype=float))
    return Segments("town", ("north", "south"), SegmentCounts(bought, 4.0))


def test_scores_are_shares_by_hand_and_ties_go_to_the_popular(segments: Segments) -> None:
    ids = pl.Series("customer_id", ["b", "a"])
    found = segments.ranking(pl.Series(["south", "north"]), ids, RETRIEVER, POPULAR, k=NUM_ITEMS)
    assert found["customer_id"].to_list() == ["b"] * 6 + ["a"] * 6
    assert found["rank"].to_list() == [1, 2, 3, 4, 5, 6] * 2
    south, north = found.head(6), found.tail(6)
    assert south["item_id"].to_list() == ["i0", "i3", "i5", "i1", "i4", "i2"]
    assert north["item_id"].to_list() == ["i2", "i0", "i3", "i1", "i4", "i5"]
    expected = [(6 + 4 * SHARE["i2"]) / 10, *(0.4 * SHARE[item] for item in ("i0", "i3", "i1"))]
    assert north["score"][:4].to_list() == pytest.approx(expected)
    assert south["score"][2] == pytest.approx((1 + 4 * SHARE["i5"]) / 6)


def test_only_what_is_offered_is_ranked(segments: Segments) -> None:
    ids = pl.Series("customer_id", ["a"])
    value = pl.Series(["north"])
    offered = POPULAR.filter(pl.col("item_id").is_in(["i5", "i2", "i1"]))
    found = segments.ranking(value, ids, RETRIEVER, offered, k=2)
    assert found["item_id"].to_list() == ["i2", "i1"]
    assert segments.ranking(value, ids, RETRIEVER, POPULAR.clear(), k=2).is_empty()


def test_files_say_the_same(segments: Segments, tmp_path: Path) -> None:
    assert load_segments(tmp_path) is None
    save_segments(tmp_path, segments)
    again = load_segments(tmp_path)
    assert again is not None
    assert (again.attribute, again.values, again.counts.smoothing) == (
        "town",
        ("north", "south"),
        4.0,
    )
    assert (again.counts.bought.toarray() == segments.counts.bought.toarray()).all()
