"""Profit in the arena: a shop whose customers cost differently, and one whose data hold no costs."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.builders import TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

pytestmark = pytest.mark.integration
CUTOFF, HORIZON = date(2024, 9, 1), 60
COSTS = ("refunds", "goods_cost", "service_cost", "marketing_cost")


@pytest.fixture(scope="module")
def lines() -> pl.DataFrame:
    """A year of 300 customers: goods cost .6 of a purchase, some return often, some call often, all get campaigns."""
    random, rows = np.random.default_rng(0), []

    def add(customer: int, day: float, kind: str, amount: float | None, cost: float | None) -> None:
        moment = datetime(2024, 1, 1) + timedelta(days=day)
        rows.append((f"e{len(rows)}", f"c{customer}", moment.isoformat(), kind, amount, cost))

    for customer in range(300):
        returns, calls = customer % 3 == 0, customer % 2 == 0
        for day in np.sort(random.uniform(0, 366, random.poisson(20))):
            amount = float(random.gamma(4.0, 10.0))
            add(customer, day, "purchase", amount, 0.6 * amount)
            if returns and random.random() < 0.5:
                add(customer, day + 1, "refund", -amount, None)
            if calls and random.random() < 0.7:
                add(customer, day + 2, "support", None, 5.0)
        for day in range(10, 366, 30):
            add(customer, day, "campaign", None, 0.5)
    columns = ["id", "customer", "at", "kind", "amount", "cost"]
    return pl.DataFrame(rows, schema=columns, orient="row")


@pytest.fixture(scope="module")
def judged(lines: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The arena's folder of that shop."""
    folder = tmp_path_factory.mktemp("costs")
    lines.write_csv(folder / "lines.csv")
    columns = {
        "event_id": "id",
        "customer_id": "customer",
        "occurred_at": "at",
        "amount": "amount",
        "cost": "cost",
    }
    source = {"path": str(folder / "lines.csv"), "kind": {"sql": "kind"}, "columns": columns}
    ingest(
        IngestConfig.model_validate(
            {"sources": [source], "quality_html": False, "output": folder / "data"}
        )
    )
    prepare(
        PrepareConfig(
            data=folder / "data",
            test_cutoff=CUTOFF,
            horizon_days=HORIZON,
            output=folder / "examples",
        )
    )
    places = {"data": folder / "data", "examples": folder / "examples", "output": folder / "arena"}
    evaluate(
        EvaluateConfig.model_validate(
            places | {"models": ["persistence", "bgnbd_gg"], "num_resamples": 20}
        )
    )
    return folder / "arena"


def test_actual_costs_are_those_of_the_horizon(judged: Path, lines: pl.DataFrame) -> None:
    profit = json.loads((judged / "metrics.json").read_text())["profit"]
    test = pl.read_parquet(judged.parent / "examples" / "test.parquet")
    at = pl.col("at").str.to_datetime()
    start = datetime.combine(CUTOFF, datetime.min.time())
    known = lines.filter(pl.col("customer").is_in(test["customer_id"].implode()))
    ahead = known.filter(at >= start, at < start + timedelta(days=HORIZON))
    sums = {
        "revenue": ahead.filter(pl.col("kind") == "purchase")["amount"].sum(),
        "refunds": -ahead.filter(pl.col("kind") == "refund")["amount"].sum(),
        "goods_cost": ahead.filter(pl.col("kind") == "purchase")["cost"].sum(),
        "service_cost": ahead.filter(pl.col("kind") == "support")["cost"].sum(),
        "marketing_cost": ahead.filter(pl.col("kind") == "campaign")["cost"].sum(),
    }
    sums["profit"] = sums["revenue"] - sum(sums[name] for name in COSTS)
    assert {name: found["actual"] for name, found in profit.items()} == pytest.approx(sums)


def test_costs_are_foretold_and_better_from_each_customers_own(judged: Path) -> None:
    profit = json.loads((judged / "metrics.json").read_text())["profit"]
    assert all(0.8 < profit[name]["bias"] < 1.2 for name in (*COSTS, "profit"))
    for name in ("refunds", "service_cost"):  # in which customers differ
        assert profit[name]["mae"] < 0.9 * profit[name]["mae_average_rate"]
    assert profit["profit"]["mae"] < profit["profit"]["mae_average_rate"]
    text = (judged / "report.html").read_text()
    assert "Profit within the horizon" in text and "the same at average rates" in text


def test_shop_without_costs_has_its_refunds_judged(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    profit = json.loads((tiny_artifact.parent / "metrics.json").read_text())["profit"]
    assert profit["refunds"]["actual"] > 0 and profit["refunds"]["bias"] > 0
    assert all(profit[name] is None for name in ("goods_cost", "service_cost", "marketing_cost"))
    assert profit["profit"]["actual"] == pytest.approx(
        profit["revenue"]["actual"] - profit["refunds"]["actual"]
    )
