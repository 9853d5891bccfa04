"""The recommendation arena: baskets and truths by hand, full lists, nothing from the future."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.conftest import TinyShop
from training.arena_inputs import Inputs, read_inputs
from training.arena_rank import (
    Basket,
    catalogue_popularity,
    cheap_rankings,
    choose_recommender,
    next_baskets,
    purchase_shards,
    rank_customers,
    ranking_groups,
    rankings_frame,
)
from training.arena_recipe import EvaluateConfig

CUTOFF = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def inputs(tiny_shop: TinyShop) -> Inputs:
    """The tiny shop before the arena."""
    folders = {"data": tiny_shop.data, "examples": tiny_shop.examples, "output": tiny_shop.data.parent / "unused"}
    return read_inputs(EvaluateConfig.model_validate(folders))


def purchases(*rows: tuple[str, float, str | None, str]) -> pl.DataFrame:
    """(customer, days after the cutoff, order, item)."""
    return pl.DataFrame(
        [(customer, CUTOFF + timedelta(days=days), order, item) for customer, days, order, item in rows],
        schema={
            "customer_id": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
            "order_id": pl.String,
            "item_id": pl.String,
        },
        orient="row",
    )


def test_next_basket_is_the_first_order_at_or_after_the_cutoff() -> None:
    shard = purchases(
        ("a", -9, "o1", "tea"), ("a", -3, "o2", "tea"), ("a", -3, "o2", "soap"),
        ("a", 0, "o3", "bread"), ("a", 0, "o3", "tea"), ("a", 0.1, "o3", "bread"), ("a", 5, "o4", "soap"),
        ("new", 1, "o5", "tea"), ("gone", -1, "o6", "tea"),
    )  # fmt: skip
    assert next_baskets([shard], CUTOFF) == {"a": Basket({"bread", "tea"}, {"tea", "soap"}, 2)}


def test_without_order_ids_a_basket_is_a_day() -> None:
    shard = purchases(("a", -1, None, "tea"), ("a", 2.2, None, "soap"), ("a", 2.9, None, "tea"), ("a", 3, None, "x"))
    assert next_baskets([shard], CUTOFF)["a"].truth == {"soap", "tea"}


def test_baskets_of_a_window_end_with_it() -> None:
    shard = purchases(("a", -1, "o1", "tea"), ("a", 7, "o2", "soap"), ("b", -1, "o3", "tea"), ("b", 6.9, "o4", "x"))
    assert set(next_baskets([shard], CUTOFF, until=CUTOFF + timedelta(days=7))) == {"b"}


def test_groups_by_orders_and_by_what_is_new() -> None:
    baskets = {
        "new": Basket({"x"}, {"tea"}, 1), "thin": Basket({"tea", "x"}, {"tea"}, 4), "rich": Basket({"x"}, {"x"}, 5)
    }  # fmt: skip
    ranking = pl.DataFrame(
        {"customer_id": ["new", "thin", "rich"], "rank": [1, 1, 1], "item_id": ["x", "tea", "y"], "score": [1.0] * 3}
    )
    groups = ranking_groups({"m": ranking, "m@sample": ranking.head(1)}, baskets, num_items=10)
    hits = {group: rows["m"]["hr@10"] for group, rows in groups.items()}
    assert hits == {"all": 2 / 3, "new": 1.0, "thin": 1.0, "rich": 0.0, "repeat_items": 0.5, "new_items": 0.5}
    counts = {group: rows["m"]["num_customers"] for group, rows in groups.items()}
    assert counts == {"all": 3, "new": 1, "thin": 1, "rich": 1, "repeat_items": 2, "new_items": 2}
    assert groups["all"]["m@sample"]["num_customers"] == 1


def test_every_customer_has_twenty_distinct_items_of_the_catalogue(inputs: Inputs) -> None:
    ranked = rank_customers(inputs)
    frame = rankings_frame(ranked.rankings, "next_basket")
    assert set(frame["model"]) == {"popularity", "personal_frequency"}  # no base model, no re-ranking
    assert set(frame["item_id"]) <= set(inputs.items["item_id"])
    by_list = frame.group_by("customer_id", "model", "task").agg(
        pl.col("rank").sort(), pl.col("item_id").n_unique(), pl.col("score").sort_by("rank").diff().max().alias("rise")
    )
    assert by_list.height == 2 * len(ranked.baskets)
    assert by_list["rank"].to_list() == [list(range(1, 21))] * by_list.height
    assert by_list["item_id"].unique().to_list() == [20]
    assert (by_list["rise"] <= 0).all()


def test_items_nobody_has_bought_fill_the_list_and_items_off_the_catalogue_never_appear(inputs: Inputs) -> None:
    strange = pl.DataFrame({"item_id": [f"n{number:02d}" for number in range(18)] + ["i1", "i2"]})
    strange = strange.with_columns(title=pl.lit(None, pl.String), category=pl.lit(None, pl.String))
    frame = rankings_frame(rank_customers(replace(inputs, items=strange)).rankings, "next_basket")
    sizes = frame.group_by("customer_id", "model").agg(pl.col("item_id").sort())
    assert {tuple(items) for items in sizes["item_id"]} == {tuple(sorted(strange["item_id"]))}


def test_nothing_from_the_cutoff_on_moves_a_ranking(inputs: Inputs) -> None:
    cutoff, ids = inputs.test_cutoff, inputs.items["item_id"]
    baskets = next_baskets(purchase_shards(inputs.config.data), cutoff)
    later = cheap_rankings(
        inputs, catalogue_popularity(inputs.config.data, ids, cutoff), baskets, cutoff
    )  # fmt: skip
    past = pl.concat(purchase_shards(inputs.config.data)).filter(pl.col("occurred_at") < cutoff)
    days = past.filter(pl.col("occurred_at") >= cutoff - timedelta(days=91)).select(
        "customer_id", "item_id", pl.col("occurred_at").dt.date()
    )
    counts = dict(days.unique()["item_id"].value_counts().iter_rows())
    best = sorted(ids, key=lambda item: (-counts.get(item, 0), item))[:20]
    first = later["popularity"].filter(pl.col("customer_id") == sorted(baskets)[0]).sort("rank")
    assert first["item_id"].to_list() == best


def test_recommender_is_chosen_before_the_test_window(inputs: Inputs) -> None:
    best, numbers = choose_recommender(inputs)
    scores = numbers["ndcg@20"]
    assert isinstance(scores, dict) and set(scores) == {"popularity", "personal_frequency"}
    assert best == max(scores, key=lambda name: scores[name])
    baskets = next_baskets(purchase_shards(inputs.config.data), inputs.selection_cutoff, until=inputs.test_cutoff)
    popular = catalogue_popularity(inputs.config.data, inputs.items["item_id"], inputs.selection_cutoff)
    rankings = cheap_rankings(inputs, popular, baskets, inputs.selection_cutoff)
    table = ranking_groups(rankings, baskets, inputs.items.height)["all"]
    assert {name: row["ndcg@20"] for name, row in table.items()} == scores


def test_shop_without_items_is_ranked_for_nobody(inputs: Inputs, caplog: pytest.LogCaptureFixture) -> None:
    empty = replace(inputs, items=inputs.items.clear())
    ranked = rank_customers(empty)
    assert (ranked.rankings, ranked.retriever) == ({}, None)
    assert "the data name no items" in caplog.text
    assert choose_recommender(empty)[0] is None
    assert rankings_frame({}, "next_basket").columns == ["customer_id", "task", "model", "rank", "item_id", "score"]
