"""The recommendation arena: groups by hand, full lists, nothing from the future."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from lifecycle.names import RANK_STACK, RANKERS, ROUTER
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.retrieval import fit_retriever
from tests.builders import TinyShop
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.judging import ranking_groups
from training.evaluate.recommend.rankings import (
    cheap_rankings,
    choose_recommender,
    judge_recommenders,
    rank_customers,
    rankings_frame,
)
from training.evaluate.recommend.serving import serving_rankers
from training.evaluate.recommend.tasks import final_task, purchase_shards, selection_task
from training.evaluate.recommend.windows import fit_rankers, open_window

QUICK = ("popularity", "personal_frequency", "decayed_frequency", "repurchase", "retriever")


@pytest.fixture
def inputs(tiny_shop: TinyShop) -> Inputs:
    """The tiny shop before the arena."""
    folders = {
        "data": tiny_shop.data,
        "examples": tiny_shop.examples,
        "output": tiny_shop.data.parent / "unused",
        "models": QUICK,
    }
    return read_inputs(EvaluateConfig.model_validate(folders))


def test_every_customer_has_twenty_distinct_items_of_the_catalogue(inputs: Inputs) -> None:
    task = final_task(inputs)
    frame = rankings_frame(rank_customers(inputs, task, None)[0], "next_basket")
    assert set(frame["model"]) == set(QUICK)
    assert set(frame["item_id"]) <= set(inputs.items["item_id"])
    by_list = frame.group_by("customer_id", "model", "task").agg(
        pl.col("rank").sort(),
        pl.col("item_id").n_unique(),
        pl.col("score").sort_by("rank").diff().max().alias("rise"),
    )
    assert by_list.height == len(QUICK) * len(task.baskets)
    assert by_list["rank"].to_list() == [list(range(1, 21))] * by_list.height
    assert by_list["item_id"].unique().to_list() == [20]
    assert (by_list["rise"] <= 0).all()


def test_items_nobody_has_bought_fill_the_list_and_items_off_the_catalogue_never_appear(
    inputs: Inputs,
) -> None:
    strange = pl.DataFrame({"item_id": [f"n{number:02d}" for number in range(18)] + ["i1", "i2"]})
    strange = strange.with_columns(title=pl.lit(None, pl.String), category=pl.lit(None, pl.String))
    shop = replace(inputs, items=strange)
    rankings, _ = rank_customers(shop, final_task(inputs), None)
    frame = rankings_frame(rankings, "next_basket")
    sizes = frame.group_by("customer_id", "model").agg(pl.col("item_id").sort())
    assert {tuple(items) for items in sizes["item_id"]} == {tuple(sorted(strange["item_id"]))}


def test_nothing_from_the_cutoff_on_moves_a_ranking(inputs: Inputs) -> None:
    task, cutoff, ids = final_task(inputs), inputs.test_cutoff, inputs.items["item_id"]
    rankers = Rankers(fit_retriever(task.shards(), ids, cutoff=cutoff))
    later = cheap_rankings(inputs, rankers, task)
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
    best, numbers, learned = choose_recommender(inputs, task)
    scores = numbers.ndcg_at_20
    assert isinstance(scores, dict) and set(scores) == set(QUICK)
    assert set(numbers.settings) == set(learned.settings) == {"decayed_frequency", "repurchase"}
    assert best == max(scores, key=lambda name: scores[name])
    assert task.cutoff == inputs.selection_cutoff < inputs.test_cutoff
    window = open_window(task, inputs.items, inputs.config.seed)
    rankings = cheap_rankings(inputs, fit_rankers(window, QUICK, learned), task)
    table = ranking_groups(rankings, task.baskets, inputs.items.height)["all"]
    assert {name: row.ndcg_at_20 for name, row in table.items()} == scores


def test_shop_without_items_is_ranked_for_nobody(
    inputs: Inputs, caplog: pytest.LogCaptureFixture
) -> None:
    empty = replace(inputs, items=inputs.items.clear())
    assert rank_customers(empty, final_task(inputs), None)[0] == {}
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


@pytest.mark.integration
def test_all_rankers_rank_a_catalogue_of_one(inputs: Inputs) -> None:
    config = inputs.config.model_copy(update={"models": RANKERS, "num_resamples": 20})
    one = replace(inputs, config=config, items=inputs.items.head(1))
    found = judge_recommenders(one)
    assert set(found.rankings["item_id"]) == set(one.items["item_id"])
    assert {"popularity", ROUTER} <= set(found.rankings["model"])
    assert found.chosen is not None
    assert serving_rankers(one, found.recommender, found.learned) is not None


@pytest.mark.integration
def test_all_rankers_compete_and_the_gain_of_the_stack_is_told(inputs: Inputs) -> None:
    config = inputs.config.model_copy(update={"models": RANKERS, "num_resamples": 20})
    found = judge_recommenders(replace(inputs, config=config))
    groups = found.recommendation["next_basket"]
    assert set(found.recommender.ndcg_at_20) == set(RANKERS)
    assert set(groups["all"]) == set(found.rankings["model"]) == {*RANKERS, ROUTER}
    gain = found.recommender.rank_stack_gain
    assert gain is not None and gain.over != RANK_STACK
    everybody = groups["all"]
    stack, rival = everybody[RANK_STACK].ndcg_at_20, everybody[gain.over].ndcg_at_20
    assert stack is not None and rival is not None
    assert gain.ndcg_at_20[0] == pytest.approx(stack - rival)
    stack_alone = found.recommender.model_copy(update={"model": RANK_STACK, "router": {}})
    served = serving_rankers(inputs, stack_alone, found.learned)
    assert served is not None and set(served.fitted) == {RANK_STACK}
