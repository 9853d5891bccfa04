"""Recall by orders and by buyers, by hand."""

import numpy as np
import polars as pl
import pytest

from tests.training.evaluate.recommend.builders import ranking
from training.evaluate.recommend.judging import judged_lists
from training.evaluate.recommend.measures.catalogue import Catalogue
from training.evaluate.recommend.measures.recall import recall_by_buyers, recall_by_orders
from training.evaluate.recommend.tasks import Basket

BASKETS = {
    "once": Basket({"x", "y"}, {"x"}, 1),
    "twice": Basket({"x"}, {"x"}, 2),
    "four": Basket({"y", "gone"}, {"x"}, 4),
}
CATALOGUE = Catalogue(pl.Series(["x", "y", "z"]), np.array([400, 2, 0]), 500, None)
OWN = ranking({"once": ["x", "z"], "twice": ["x"], "four": ["x"]})
SAMPLE = {"once": BASKETS["once"]}
JUDGED = {
    "own": judged_lists(OWN, BASKETS, CATALOGUE.numbers),
    "sampled": judged_lists(ranking({"once": ["y"]}), SAMPLE, CATALOGUE.numbers),
}


def test_by_orders() -> None:
    found = recall_by_orders(JUDGED, BASKETS, num_resamples=50, seed=0)
    assert (found.groups, found.counted) == (["1", "2 to 4"], [1, 2])
    assert [one.value for one in found.models["own"]] == [0.5, 0.5]
    assert found.models["own"][1].interval == (0.0, 1.0)
    assert [one.value for one in found.models["sampled"]] == [0.5, None]


def test_by_buyers_every_item_bought_counts_alike() -> None:
    found = recall_by_buyers(JUDGED, BASKETS, CATALOGUE, num_resamples=50, seed=0)
    assert (found.groups, found.counted) == (["0", "1 to 2", "300 to 999"], [1, 2, 2])
    assert [one.value for one in found.models["own"]] == [0.0, 0.0, 1.0]
    assert [one.value for one in found.models["sampled"]] == [None, 1.0, 0.0]
    assert sum(found.counted) == sum(len(basket.truth) for basket in BASKETS.values())
    assert found.models["own"][2].interval == pytest.approx((1.0, 1.0))
