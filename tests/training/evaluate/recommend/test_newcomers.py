"""What serves customers without an order: the popularity of their segment, where that is clearly better."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from lifecycle.names import SEGMENT_POPULARITY
from lifecycle.recommend.retrieval import fit_retriever
from tests.builders import TinyShop, rewrite_manifest
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.choice import LEAST_CUSTOMERS, NEWCOMERS, choose_for_newcomers
from training.evaluate.recommend.serving import serving_rankers
from training.evaluate.recommend.tasks import RankingTask, next_basket_task, purchase_shards
from training.evaluate.recommend.windows import Learned
from training.results.recommend import GroupChoice, Recommender

CUTOFF = datetime(2024, 2, 15, tzinfo=UTC)  # in the tiny shop most customers come later


def inputs_with(shop: TinyShop, folder: Path, attributes: pl.DataFrame) -> Inputs:
    """The tiny shop, had it a table of customers."""
    data = folder / "data"
    shutil.copytree(shop.data, data)
    attributes.write_parquet(data / "customers.parquet")
    usable = [name for name in attributes.columns if name != "customer_id"]
    rewrite_manifest(data, usable_attributes=usable)
    recipe = {
        "data": data,
        "examples": shop.examples,
        "output": folder / "arena",
        "models": ("popularity",),
    }
    return read_inputs(EvaluateConfig.model_validate(recipe))


def customers(shop: TinyShop) -> pl.DataFrame:
    """Of each the category that they buy most, and what tells nothing."""
    items = pl.read_parquet(shop.data / "items.parquet").select("item_id", "category")
    bought = pl.concat(purchase_shards(shop.data)).join(items, on="item_id")
    favourite = pl.col("category").mode().sort().first()
    found = bought.group_by("customer_id").agg(favourite.alias("club")).sort("customer_id")
    number = pl.int_range(pl.len())
    return found.with_columns(
        club=pl.when(number % 9 > 0).then("club"), shelf=(number % 3).cast(pl.String)
    )


def chosen(inputs: Inputs, cutoff: datetime = CUTOFF) -> GroupChoice | None:
    task: RankingTask = next_basket_task(inputs.config.data, cutoff, until=inputs.test_cutoff)
    retriever = fit_retriever(task.shards(), inputs.items["item_id"], cutoff=cutoff)
    return choose_for_newcomers(inputs, task, retriever)


def test_what_members_of_a_club_buy_serves_those_who_join(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    inputs = inputs_with(tiny_shop, tmp_path, customers(tiny_shop))
    choice = chosen(inputs)
    assert choice is not None and choice.model == choice.best == SEGMENT_POPULARITY
    assert choice.gain is not None and choice.gain.ndcg_at_20[1] > 0
    first = pl.concat(purchase_shards(tiny_shop.data)).group_by("customer_id")
    joined = first.agg(pl.col("occurred_at").min()).filter(
        pl.col("occurred_at").is_between(CUTOFF, inputs.test_cutoff, closed="left")
    )
    known = customers(tiny_shop).drop_nulls()
    assert choice.num_customers == joined.join(known, on="customer_id").height
    compared = Recommender.model_validate(
        {"model": "popularity", "rule": "", "ndcg@20": {}, "router": {NEWCOMERS: choice}}
    )
    served = serving_rankers(inputs, compared, Learned({}))
    assert served is not None and served.segments is not None
    assert served.segments.attribute == "club"
    without = compared.model_copy(update={"router": {}})
    alone = serving_rankers(inputs, without, Learned({}))
    assert alone is not None and alone.segments is None


def test_where_few_or_none_joined_all_get_what_is_popular(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    inputs = inputs_with(tiny_shop, tmp_path, customers(tiny_shop))
    few, none = chosen(inputs, CUTOFF + timedelta(days=68)), chosen(inputs, inputs.test_cutoff)
    assert few is not None and none is not None
    assert few.model == none.model == "popularity" and few.gain is None
    assert 0 < few.num_customers < LEAST_CUSTOMERS and none.num_customers == 0


def test_without_attributes_there_is_nothing_to_choose(tiny_shop: TinyShop, tmp_path: Path) -> None:
    numbers = customers(tiny_shop).select("customer_id", age=pl.lit(30.0))
    assert chosen(inputs_with(tiny_shop, tmp_path / "numbers", numbers)) is None
    config = EvaluateConfig(data=tiny_shop.data, examples=tiny_shop.examples, output=tmp_path)
    assert chosen(read_inputs(config)) is None
