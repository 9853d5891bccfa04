"""The recommendation arena: groups by hand, full lists, nothing from the future."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from lifecycle.recommend.retrieval import fit_retriever
from tests.builders import TinyShop
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.rankings import (
    cheap_rankings,
    choose_recommender,
    rank_customers,
    ranking_groups,
    rankings_frame,
)
from training.evaluate.recommend.tasks import Basket, final_task, purchase_shards, selection_task


@pytest.fixture
def inputs(tiny_shop: TinyShop) -> Inputs:
    """The tiny shop before the arena."""
    folders = {
        "data": tiny_shop.data,
        "examples": tiny_shop.examples,
        "output": tiny_shop.data.parent / "unused",
    }
    return read_inputs(EvaluateConfig.model_validate(folders))


def test_groups_by_orders_and_by_what_is_new() -> None:
    baskets = {
        "new": Basket({"x"}, {"tea"}, 1),
        "thin": Basket({"tea", "x"}, {"tea"}, 4),
        "rich": Basket({"x"}, {"x"}, 5),
    }
    ranking = pl.DataFrame(
        {
            "customer_id": ["new", "thin", "rich"],
            "rank": [1, 1, 1],
            "item_id": ["x", "tea", "y"],
            "score": [1.0] * 3,
        }
    )
    groups = ranking_groups({"m": ranking, "m@sample": ranking.head(1)}, baskets, num_items=10)
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


def test_every_customer_has_twenty_distinct_items_of_the_catalogue(inputs: Inputs) -> None:
    task = final_task(inputs)
    frame = rankings_frame(rank_customers(inputs, task), "next_basket")
    assert set(frame["model"]) == {
        "popularity",
        "personal_frequency",
        "retriever",
    }  # no base model, no re-ranking
    assert set(frame["item_id"]) <= set(inputs.items["item_id"])
    by_list = frame.group_by("customer_id", "model", "task").agg(
        pl.col("rank").sort(),
        pl.col("item_id").n_unique(),
        pl.col("score").sort_by("rank").diff().max().alias("rise"),
    )
    assert by_list.height == 3 * len(task.baskets)
    assert by_list["rank"].to_list() == [list(range(1, 21))] * by_list.height
    assert by_list["item_id"].unique().to_list() == [20]
    assert (by_list["rise"] <= 0).all()


def test_items_nobody_has_bought_fill_the_list_and_items_off_the_catalogue_never_appear(
    inputs: Inputs,
) -> None:
    strange = pl.DataFrame({"item_id": [f"n{number:02d}" for number in range(18)] + ["i1", "i2"]})
    strange = strange.with_columns(title=pl.lit(None, pl.String), category=pl.lit(None, pl.String))
    frame = rankings_frame(
        rank_customers(replace(inputs, items=strange), final_task(inputs)), "next_basket"
    )
    sizes = frame.group_by("customer_id", "model").agg(pl.col("item_id").sort())
    assert {tuple(items) for items in sizes["item_id"]} == {tuple(sorted(strange["item_id"]))}


def test_nothing_from_the_cutoff_on_moves_a_ranking(inputs: Inputs) -> None:
    task, cutoff, ids = final_task(inputs), inputs.test_cutoff, inputs.items["item_id"]
    later = cheap_rankings(inputs, fit_retriever(task.shards(), ids, cutoff=cutoff), task)
    past = pl.concat(purchase_shards(inputs.config.data)).filter(pl.col("occurred_at") < cutoff)
    days = past.filter(pl.col("occurred_at") >= cutoff - timedelta(days=91)).select(
        "customer_id", "item_id", pl.col("occurred_at").dt.date()
    )
    counts = dict(days.unique()["item_id"].value_counts().iter_rows())
    best = sorted(ids, key=lambda item: (-counts.get(item, 0), item))[:20]
    first = (
        later["popularity"].filter(pl.col("customer_id") == sorted(task.baskets)[0]).sort("rank")
    )
    assert first["item_id"].to_list() == best


def test_recommender_is_chosen_before_the_test_window(inputs: Inputs) -> None:
    task = selection_task(inputs)
    best, numbers = choose_recommender(inputs, task)
    scores = numbers.ndcg_at_20
    assert isinstance(scores, dict) and set(scores) == {
        "popularity",
        "personal_frequency",
        "retriever",
    }
    assert best == max(scores, key=lambda name: scores[name])
    assert task.cutoff == inputs.selection_cutoff < inputs.test_cutoff
    rankings = cheap_rankings(
        inputs, fit_retriever(task.shards(), inputs.items["item_id"], cutoff=task.cutoff), task
    )
    table = ranking_groups(rankings, task.baskets, inputs.items.height)["all"]
    assert {name: row.ndcg_at_20 for name, row in table.items()} == scores


def test_shop_without_items_is_ranked_for_nobody(
    inputs: Inputs, caplog: pytest.LogCaptureFixture
) -> None:
    empty = replace(inputs, items=inputs.items.clear())
    assert rank_customers(empty, final_task(inputs)) == {}
    assert "the data name no items" in caplog.text
    assert choose_recommender(empty, selection_task(inputs))[0] is None
    assert rankings_frame({}, "next_basket").columns == [
        "customer_id",
        "task",
        "model",
        "rank",
        "item_id",
        "score",
    ]
