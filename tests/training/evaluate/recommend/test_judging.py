"""Metrics of rankings by group by hand, and the gain of one ranking over another."""

import numpy as np
import polars as pl
import pytest

from tests.training.evaluate.recommend.builders import ranking
from training.evaluate.recommend.judging import (
    gain_over,
    judged_groups,
    judged_lists,
    ranking_groups,
)
from training.evaluate.recommend.measures.catalogue import Catalogue
from training.evaluate.recommend.tasks import Basket


def test_groups_by_orders_and_by_what_is_new() -> None:
    baskets = {
        "new": Basket({"x"}, {"tea"}, 1),
        "thin": Basket({"tea", "x"}, {"tea"}, 4),
        "rich": Basket({"x"}, {"x"}, 5),
    }
    found = ranking({"new": ["x"], "thin": ["tea"], "rich": ["y"]})
    groups = ranking_groups({"m": found}, baskets, num_items=10)
    hits = {group: rows["m"].hr_at_10 for group, rows in groups.items()}
    assert hits == {
        "all": 2 / 3,
        "new": 1.0,
        "thin": 1.0,
        "rich": 0.0,
        "repeat_items": 0.5,
        "new_items": 0.5,
    }
    counts = {group: rows["m"].num_customers for group, rows in groups.items()}
    assert counts == {"all": 3, "new": 1, "thin": 1, "rich": 1, "repeat_items": 2, "new_items": 2}


def test_who_is_proposed_nothing_counts_as_one_who_finds_nothing() -> None:
    baskets = {"u": Basket({"x"}, {"x"}, 5), "v": Basket({"x"}, set(), 5)}
    found = ranking({"v": ["x"]})  # u has bought the whole catalogue
    row = ranking_groups({"m": found}, baskets, num_items=1)["rich"]["m"]
    assert (row.num_customers, row.hr_at_10, row.ndcg_at_20, row.coverage) == (2, 0.5, 0.5, 1.0)
    numbers = {"x": 0}
    catalogue = Catalogue(pl.Series(["x"]), np.array([1]), 2, None)
    judged = {"m": judged_lists(found, baskets, numbers)}
    told = judged_groups(judged, baskets, catalogue, num_resamples=20, seed=0)["all"]["m"]
    assert (told.num_customers, told.recall_at_20, told.novelty) == (2, 0.5, 1.0)
    both = ranking({"u": ["x"], "v": ["x"]})
    gain = gain_over(both, found, "other", baskets, num_resamples=20, seed=0)
    assert gain.num_customers == 2 and gain.recall_at_20[0] == 0.5


def test_gain_is_the_mean_difference_with_an_interval_around_it() -> None:
    baskets = {str(number): Basket({"x", "y"}, set(), 1) for number in range(40)}
    ours = ranking({name: ["x", "y"] if int(name) % 2 else ["x"] for name in baskets})
    others = ranking({name: ["x"] for name in baskets})
    gain = gain_over(ours, others, "other", baskets, num_resamples=200, seed=0)
    assert gain.over == "other"
    mean, low, high = gain.recall_at_20
    assert mean == pytest.approx(0.25) and low < mean < high and low > 0.15 and high < 0.35
    same = gain_over(ours, ours, "other", baskets, num_resamples=20, seed=0)
    assert same.ndcg_at_20 == (0.0, 0.0, 0.0)


def test_everything_is_judged_with_intervals() -> None:
    baskets = {
        "u": Basket({"x", "tea"}, {"tea"}, 1),
        "v": Basket({"x"}, {"x"}, 5),
    }
    catalogue = Catalogue(
        item_ids=pl.Series(["rye", "tea", "x"]),
        num_buyers=np.array([0, 2, 4]),
        num_customers=4,
        category=np.array([0, 0, 1]),
    )
    found = {"m": ranking({"u": ["tea", "rye"], "v": ["x", "tea"]})}
    judged = {"m": judged_lists(found["m"], baskets, catalogue.numbers)}
    groups = judged_groups(judged, baskets, catalogue, num_resamples=50, seed=0)
    everybody = groups["all"]["m"]
    assert everybody.hr_at_20 == everybody.hr_at_10 == 1.0
    assert everybody.recall_at_10 == everybody.recall_at_20 == 0.75
    assert everybody.novelty == pytest.approx((1 + 2 + 0 + 1) / 4)  # rye counts as bought once
    assert everybody.diversity == 0.5
    assert everybody.repeat_share == 0.5
    assert everybody.true_repeat_share == 0.75
    assert everybody.coverage == 1.0 and everybody.outside_catalogue == 0.0
    assert everybody.ci["recall@20"] == (0.5, 1.0) and everybody.ci["repeat_share"] == (0.5, 0.5)
    assert groups["new_items"]["m"].true_repeat_share == 0.0
    assert groups["thin"]["m"].novelty is None and groups["thin"]["m"].ci["novelty"] is None
    same = ranking_groups(found, baskets, num_items=3)["all"]["m"]
    assert (same.ndcg_at_20, same.coverage) == (everybody.ndcg_at_20, everybody.coverage)


def test_an_item_of_no_catalogue_is_our_bug() -> None:
    catalogue = Catalogue(pl.Series(["x"]), np.array([1]), 1, None)
    baskets = {"u": Basket({"x"}, set(), 1)}
    judged = {"m": judged_lists(ranking({"u": ["y"]}), baskets, catalogue.numbers)}
    with pytest.raises(AssertionError, match="m ranks items that are in no catalogue"):
        judged_groups(judged, baskets, catalogue, num_resamples=20, seed=0)
