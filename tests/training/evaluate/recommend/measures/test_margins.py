"""Lists by margin: by hand, against the service's order, and margins from costs and from the catalogue."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.shards import read_items
from lifecycle.recommend.rankers import rank_items
from tests.builders import TinyShop
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.measures.catalogue import read_catalogue
from training.evaluate.recommend.measures.margins import (
    Scored,
    first_by_worth,
    margin_curve,
    probabilities,
    read_margins,
)
from training.evaluate.recommend.tasks import RankingTask, final_task, purchase_shards
from training.evaluate.recommend.windows import Learned, fit_rankers, open_window
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

RANKER = "personal_frequency"


@pytest.fixture
def inputs(tiny_shop: TinyShop) -> Inputs:
    """The tiny shop before the arena, whose catalogue has a margin of most items; some lose money."""
    folders = {"data": tiny_shop.data, "examples": tiny_shop.examples}
    output = {"output": tiny_shop.data.parent / "unused", "num_resamples": 20}
    found = read_inputs(EvaluateConfig.model_validate(folders | output))
    margin = np.random.default_rng(0).normal(1.0, 1.0, found.items.height)
    told = pl.Series("margin", [None, *margin[1:].round(2).astype(str)])
    return replace(found, items=found.items.with_columns(told))


def test_worth_by_hand() -> None:
    scored = Scored(
        is_item=np.array([[True, True, True], [True, True, False]]),
        score=np.array([[4.0, 3.0, 1.0], [2.0, 1.0, 0.0]]),
        margin=np.array([[1.0, 2.0, 9.0], [-4.0, -1.0, 0.0]]),
        is_hit=np.array([[True, False, True], [True, False, False]]),
    )
    # Worth are 4, 6 and 9 by margin alone, 4, 4.5 and 5 half and half; two items lose money.
    first = {0.0: [1.0, -4.0], 0.5: [9.0, -1.0], 1.0: [9.0, -1.0]}
    for weight, margins in first.items():
        is_hit, margin = first_by_worth(scored, weight, 1.0, 1)
        assert margin[:, 0].tolist() == margins
        assert is_hit[:, 0].tolist() == [True, weight == 0]
    assert first_by_worth(scored, 1.0, 1.0, 3)[1].tolist() == [[9.0, 2.0, 1.0], [-1.0, -4.0, 0.0]]


def test_logarithms_of_probabilities_are_weighed_as_these() -> None:
    score = np.array([[0.5, 0.3, 0.1]])
    assert probabilities(np.log(score)) == pytest.approx(score)
    assert probabilities(score) is score


def test_margins_are_the_mean_of_amount_less_cost_before_the_cutoff(tmp_path: Path) -> None:
    lines = tmp_path / "lines.csv"
    rows = ["a,2024-01-01,tea,5,3", "b,2024-01-02,tea,9,3", "b,2024-01-02,rye,2,"]
    lines.write_text("\n".join(["c,t,i,a,x", *rows, "a,2024-03-01,rye,9,1"]) + "\n")
    columns = {"customer_id": "c", "occurred_at": "t", "item_id": "i", "amount": "a", "cost": "x"}
    source = {"path": str(lines), "format": "csv", "kind": "purchase", "columns": columns}
    recipe = {"sources": [source], "output": str(tmp_path / "data"), "quality_html": False}
    ingest(IngestConfig.model_validate(recipe))
    items = read_items(tmp_path / "data")
    for cutoff, expected in ((2, {"tea": 4.0, "rye": 0.0}), (4, {"tea": 4.0, "rye": 8.0})):
        until = datetime(2024, cutoff, 1, tzinfo=UTC)
        task = RankingTask("next_basket", tmp_path / "data", until, {})
        catalogue = read_catalogue(task, items)
        found = read_margins(task, items, catalogue)
        assert found is not None and found.source == "costs"
        assert dict(zip(catalogue.item_ids, found.of_item, strict=True)) == expected
        known = dict(zip(catalogue.item_ids, found.is_known, strict=True))
        assert known == {"tea": True, "rye": cutoff == 4}


def test_without_costs_there_is_no_curve(inputs: Inputs) -> None:
    task = final_task(inputs)
    bare = replace(inputs, items=inputs.items.drop("margin"))
    catalogue = read_catalogue(task, bare.items)
    assert margin_curve(bare, task, catalogue, RANKER, Learned({})) is None


def test_curve_begins_with_the_rankers_lists_and_ends_with_the_services(inputs: Inputs) -> None:
    task = final_task(inputs)
    found = margin_curve(inputs, task, read_catalogue(task, inputs.items), RANKER, Learned({}))
    assert found is not None and found.source == "catalogue" and found.model == RANKER
    assert found.num_customers == len(task.baskets) and found.known_margins > 0.9
    assert [point.weight for point in found.points] == pytest.approx(np.arange(11) / 10)
    margin = inputs.items.select("item_id", pl.col("margin").cast(pl.Float64).fill_null(0.0))
    ranked = everything(inputs, task).join(margin, on="item_id", maintain_order="left")
    ends = {0: ranked, -1: ranked.sort(-pl.col("score") * pl.col("margin"), maintain_order=True)}
    for place, ordered in ends.items():
        lists = ordered.group_by("customer_id").head(10)
        bought = [
            item in task.baskets[customer].truth
            for customer, item in lists.select("customer_id", "item_id").iter_rows()
        ]
        hits = lists.with_columns(bought=pl.Series(bought))
        by_customer = hits.group_by("customer_id").agg(
            pl.col("bought").any(), earned=(pl.col("bought") * pl.col("margin")).sum()
        )
        point = found.points[place]
        assert point.hr_at_10 == pytest.approx(by_customer["bought"].mean())
        assert point.margin_at_10 == pytest.approx(by_customer["earned"].mean())
        interval = point.ci["margin@10"]
        assert interval is not None and interval[0] <= point.margin_at_10 <= interval[1]
    assert found.points[0].hr_at_10 > found.points[-1].hr_at_10


def everything(inputs: Inputs, task: RankingTask) -> pl.DataFrame:
    """The whole catalogue ranked for all customers at once."""
    window = open_window(task, inputs.items, 0)
    customers = pl.Series("customer_id", sorted(task.baskets))
    return rank_items(
        RANKER,
        fit_rankers(window, [RANKER], Learned({})),
        pl.concat(purchase_shards(inputs.config.data)),
        customers,
        cutoff=task.cutoff,
        k=inputs.items.height,
        exclude_seen=False,
    )
