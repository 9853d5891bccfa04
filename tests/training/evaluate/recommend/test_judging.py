"""Metrics of rankings by group by hand, and the gain of one ranking over another."""

import polars as pl
import pytest

from training.evaluate.recommend.judging import gain_over, ranking_groups
from training.evaluate.recommend.tasks import Basket


def ranking(items: dict[str, list[str]]) -> pl.DataFrame:
    rows = [
        (customer, rank, item, 1.0)
        for customer, ranked in items.items()
        for rank, item in enumerate(ranked, start=1)
    ]
    columns = ["customer_id", "rank", "item_id", "score"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_groups_by_orders_and_by_what_is_new() -> None:
    baskets = {
        "new": Basket({"x"}, {"tea"}, 1),
        "thin": Basket({"tea", "x"}, {"tea"}, 4),
        "rich": Basket({"x"}, {"x"}, 5),
    }
    found = ranking({"new": ["x"], "thin": ["tea"], "rich": ["y"]})
    groups = ranking_groups({"m": found, "m@sample": found.head(1)}, baskets, num_items=10)
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
    assert groups["all"]["m@sample"].num_customers == 1


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
