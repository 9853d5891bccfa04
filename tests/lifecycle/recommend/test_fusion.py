"""The fused score against numpy, the ranker's order without LLaMA, and the unit of weights by hand."""

import numpy as np
import polars as pl
import pytest

from lifecycle.recommend.fusion import fused, weight_unit


def candidates() -> pl.DataFrame:
    """Two customers; the second's scores are as large as counts of orders can be."""
    return pl.DataFrame(
        {
            "customer_id": ["b", "b", "b", "a", "a", "a", "a"],
            "rank": [1, 2, 3, 1, 2, 3, 4],
            "item_id": ["x", "y", "z", "v", "x", "y", "z"],
            "score": [900.0, 3.0, 3.0, 0.5, 0.5, 0.2, -0.1],
            "text_score": [0.1, 0.4, 0.4, -1.0, 0.3, 2.0, 0.0],
        }
    )


def test_score_is_the_log_softmax_plus_the_weighted_score_of_the_text() -> None:
    found = fused(candidates(), 0.5, k=3)
    scores = np.array([0.5, 0.5, 0.2, -0.1])
    texts = np.array([-1.0, 0.3, 2.0, 0.0])
    expected = np.log(np.exp(scores) / np.exp(scores).sum()) + 0.5 * texts
    mine = found.filter(pl.col("customer_id") == "a")
    assert mine["item_id"].to_list() == ["y", "x", "v"] and mine["rank"].to_list() == [1, 2, 3]
    np.testing.assert_allclose(mine["score"], sorted(expected, reverse=True)[:3])
    theirs = found.filter(pl.col("customer_id") == "b")
    assert theirs["item_id"].to_list() == ["x", "y", "z"]
    np.testing.assert_allclose(theirs["score"], [0.05, -896.8, -896.8])


def test_without_weight_the_order_is_the_rankers_also_among_equals() -> None:
    shuffled = candidates().sample(fraction=1.0, shuffle=True, seed=1)
    found = fused(shuffled, 0.0, k=10)
    assert found["item_id"].to_list() == ["v", "x", "y", "z", "x", "y", "z"]
    assert found["rank"].to_list() == [1, 2, 3, 4, 1, 2, 3]


def test_unit_makes_both_scores_spread_alike_in_the_median_customer() -> None:
    one = pl.DataFrame({"customer_id": ["a", "a"], "score": [0.0, 6.0], "text_score": [1.0, 3.0]})
    wild = one.with_columns(customer_id=pl.lit("c"), score=pl.col("score") * 1000)
    alike = one.with_columns(customer_id=pl.lit("b"))
    assert weight_unit(pl.concat([one, alike, wild])) == pytest.approx(3.0)
    assert weight_unit(one.with_columns(text_score=1.0)) == 0.0
    assert weight_unit(one.head(1)) == 0.0, "one candidate has no spread"
