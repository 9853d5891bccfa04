"""Who serves which group: only what is clearly better there, and nobody's choice of too few."""

import polars as pl
import pytest

from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.choice import LEAST_CUSTOMERS, NEWCOMERS, choose_by_group
from training.evaluate.recommend.judging import ranking_groups
from training.evaluate.recommend.serving import routed, router_of, serves_segments
from training.evaluate.recommend.tasks import Basket
from training.results.recommend import GroupChoice, Recommender

CONFIG = EvaluateConfig.model_validate(
    {"data": "d", "examples": "e", "output": "o", "num_resamples": 200}
)
MANY = 2 * LEAST_CUSTOMERS
ORDERS = {"new": 1, "thin": 3, "rich": 7}


def lists(hits: dict[str, float], baskets: dict[str, Basket]) -> pl.DataFrame:
    """A list of two items, whose first is bought by such a share of each group."""
    rows = []
    for customer in baskets:
        group, number = customer.split("-")
        first = "x" if int(number) % 10 < 10 * hits[group] else "y"
        rows += [(customer, 1, first, 2.0), (customer, 2, "z", 1.0)]
    return pl.DataFrame(rows, schema=["customer_id", "rank", "item_id", "score"], orient="row")


def shop(sizes: dict[str, int]) -> dict[str, Basket]:
    return {
        f"{group}-{number}": Basket({"x"}, set(), ORDERS[group])
        for group, size in sizes.items()
        for number in range(size)
    }


def choose(baskets: dict[str, Basket], rankings: dict[str, pl.DataFrame]) -> dict[str, GroupChoice]:
    table = ranking_groups(rankings, baskets, 10)
    return choose_by_group(CONFIG, rankings, table, baskets, "usual")


def test_a_group_is_served_by_what_is_clearly_better_there_and_else_by_what_serves_all() -> None:
    baskets = shop({"new": MANY, "thin": MANY, "rich": MANY})
    usual = lists({"new": 0.2, "thin": 0.5, "rich": 0.9}, baskets)
    other = lists({"new": 0.6, "thin": 0.5, "rich": 0.3}, baskets)
    found = choose(baskets, {"usual": usual, "other": other})
    assert {group: choice.model for group, choice in found.items()} == {
        "new": "other",
        "thin": "usual",
        "rich": "usual",
    }
    new = found["new"]
    assert new.gain is not None and new.gain.over == "usual"
    assert new.gain.ndcg_at_20[0] == pytest.approx(0.4) and new.gain.ndcg_at_20[1] > 0
    assert new.ndcg_at_20 == pytest.approx({"usual": 0.2, "other": 0.6})
    assert found["thin"].gain is None and found["rich"].best == "usual"
    assert {choice.num_customers for choice in found.values()} == {MANY}


def test_a_lead_that_chance_may_bring_and_one_among_few_choose_nothing() -> None:
    baskets = shop({"new": LEAST_CUSTOMERS - 1, "thin": MANY})
    usual = lists({"new": 0.0, "thin": 0.5}, baskets)
    # Right where the usual one is wrong and wrong where it is right, but for one customer in ten.
    turned = usual.with_columns(
        item_id=pl.when(pl.col("rank") == 2)
        .then("item_id")
        .when(pl.col("customer_id").str.starts_with("new") | (pl.col("item_id") == "y"))
        .then(pl.lit("x"))
        .when(pl.col("customer_id").str.ends_with("0"))
        .then("item_id")
        .otherwise(pl.lit("y"))
    )
    found = choose(baskets, {"usual": usual, "other": turned})
    assert (found["thin"].best, found["thin"].model) == ("other", "usual")
    assert found["thin"].gain is not None and found["thin"].gain.ndcg_at_20[1] < 0
    assert (found["new"].best, found["new"].model, found["new"].gain) == ("other", "usual", None)
    assert "rich" not in found


def test_the_router_ranks_each_customer_by_the_ranker_of_its_group() -> None:
    baskets = shop({"new": 3, "rich": 2})
    hits = {"usual": 1.0, "other": 0.0}
    rankings = {name: lists({"new": share, "rich": share}, baskets) for name, share in hits.items()}
    rankings |= {f"{name}@few": rows.head(2) for name, rows in rankings.items()}
    compared = Recommender.model_validate(
        {
            "model": "usual",
            "rule": "",
            "ndcg@20": {},
            "router": {
                "new": {"model": "other", "best": "other", "num_customers": 3},
                "rich": {"model": "usual", "best": "usual", "num_customers": 2},
                NEWCOMERS: {
                    "model": "segment_popularity",
                    "best": "segment_popularity",
                    "num_customers": 90,
                },
            },
        }
    )
    router = router_of(compared)
    assert router is not None and dict(router.by_group) == {"new": "other"}
    assert serves_segments(compared)
    found = routed(router, rankings, baskets, "@few")
    first = found["router"].filter(pl.col("rank") == 1).sort("customer_id")
    assert first["item_id"].to_list() == ["y", "y", "y", "x", "x"]
    assert set(found["router@few"]["customer_id"]) == {"new-0"}
    assert routed(None, rankings, baskets, "@few") == {}
