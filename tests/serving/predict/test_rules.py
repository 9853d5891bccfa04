"""Rules of a whole list keep every list, and leave out no item that it may have."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.rules import cutoff_frame, first_by_rules
from tests.serving.builders import TEST_CUTOFF, events_of, items_of

AS_OF = datetime(2024, 5, 1, tzinfo=UTC)
NUM_ITEMS = 60
CATEGORY = {
    f"i{number}": ("abc"[number % 3] if number % 7 else None) for number in range(NUM_ITEMS)
}


def ranking(seed: int) -> dict[str, list[str]]:
    """All items for two customers, best first."""
    random = np.random.default_rng(seed)
    items = sorted(CATEGORY)
    return {name: [items[place] for place in random.permutation(NUM_ITEMS)] for name in ("a", "b")}


def purchases(ranked: dict[str, list[str]], seed: int) -> pl.DataFrame:
    """Of each customer some of the items, most of them ranked high, some lately."""
    random = np.random.default_rng([seed, 1])
    rows = [
        {"customer_id": name, "item_id": item, "occurred_at": AS_OF - timedelta(days=float(days))}
        for name, items in ranked.items()
        for item, days in zip(items[:25], random.uniform(0, 100, 25), strict=True)
        if random.random() < 0.8
    ]
    return pl.DataFrame(rows)


@pytest.mark.parametrize("seed", range(6))
def test_lists_keep_the_rules_and_take_the_best_that_they_may(seed: int) -> None:
    ranked = ranking(seed)
    bought = purchases(ranked, seed)
    options = RecommendOptions(k=10, bought_within_days=30, max_per_category=3, min_new_share=0.45)
    lengths: list[int] = []

    def rank(length: int) -> pl.DataFrame:
        lengths.append(length)
        rows = [
            {"customer_id": name, "item_id": item, "category": CATEGORY[item]}
            for name, items in ranked.items()
            for item in items[:length]
        ]
        return pl.DataFrame(rows)

    found = first_by_rules(rank, bought, cutoff_frame(["a", "b"], [AS_OF] * 2), options, NUM_ITEMS)
    assert lengths[0] == 40 and max(lengths) <= NUM_ITEMS
    for name, items in ranked.items():
        mine = found.filter(pl.col("customer_id") == name)["item_id"].to_list()
        assert mine == sorted(mine, key=items.index)
        own = bought.filter(pl.col("customer_id") == name)
        recent = set(own.filter(pl.col("occurred_at") >= AS_OF - timedelta(days=30))["item_id"])
        known = set(own["item_id"])

        def breaks(chosen: list[str], recent: set[str] = recent, known: set[str] = known) -> bool:
            counted = Counter(CATEGORY[item] for item in chosen if CATEGORY[item])
            return (
                bool(recent & set(chosen))
                or max(counted.values(), default=0) > 3
                or len(known & set(chosen)) > 5
            )

        assert not breaks(mine)
        last = items.index(mine[-1]) if len(mine) == 10 else NUM_ITEMS
        for place, item in enumerate(items[:last]):
            better = [other for other in mine if items.index(other) < place]
            assert item in mine or breaks([*better, item])


def test_without_rules_the_ranking_is_asked_once_for_k() -> None:
    lengths: list[int] = []

    def rank(length: int) -> pl.DataFrame:
        lengths.append(length)
        return pl.DataFrame({"customer_id": ["a"], "item_id": ["i0"], "category": [None]})

    none = pl.DataFrame(schema={"customer_id": pl.String, "item_id": pl.String})
    first_by_rules(rank, none, cutoff_frame(["a"], [AS_OF]), RecommendOptions(k=7), NUM_ITEMS)
    assert lengths == [7]


def test_the_service_leaves_out_what_was_bought_lately_and_adds_what_is_new(
    predictor: Predictor,
) -> None:
    lines = [
        {"occurred_at": TEST_CUTOFF - timedelta(days=days), "order_id": f"o{days}", "item_id": item}
        for days, item in ((5, "i5"), (40, "i6"), (41, "i7"))
    ]
    query = CustomerQuery("x", events_of(*lines), {}, as_of=TEST_CUTOFF)
    plain = items_of(predictor, query, k=4)
    assert set(plain[:3]) == {"i5", "i6", "i7"}
    assert "i5" not in items_of(predictor, query, k=4, bought_within_days=30)
    mostly_new = items_of(predictor, query, k=4, min_new_share=0.75)
    assert len(mostly_new) == 4 and len({"i5", "i6", "i7"} & set(mostly_new)) == 1
    category = dict(predictor.artifact.items.select("item_id", "category").iter_rows())
    one_each = items_of(predictor, query, k=20, max_per_category=1)
    counted = Counter(category[item] for item in one_each if category[item] is not None)
    assert one_each and max(counted.values()) == 1
