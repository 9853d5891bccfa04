"""Customers who have not bought yet: every stage from preparing to serving counts them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.contents import PROSPECT_MODEL
from lifecycle.folders import read_manifest
from lifecycle.value.formula import ClvSettings
from lifecycle.value.prospects import (
    fit_prospects,
    prospect_spend,
)
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.builders import TinyShop
from training.evaluate.customers.prospects import judge_prospects
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.dataset import read_dataset
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.score.job import score
from training.score.recipe import SCORES_KIND, ScoreConfig, ScoresManifest

pytestmark = pytest.mark.integration
TEST_CUTOFF = datetime(2024, 10, 30, tzinfo=UTC)


def write_visitors(lines_file: Path, folder: Path) -> None:
    """visits.csv of 100 buyers before their first order and 200 others; customers.csv with one who did nothing."""
    lines = pl.read_csv(lines_file)
    buyers = lines["customer"].unique(maintain_order=True)[:100]
    firsts = lines.group_by("customer").agg(pl.col("at").min()).sort("customer")
    firsts = firsts.filter(pl.col("customer").is_in(buyers.implode()))
    visits: list[tuple[str, str, float | None]] = []
    for number, (customer, at) in enumerate(firsts.iter_rows()):
        before = datetime.fromisoformat(at) - timedelta(days=1 + number % 90)
        visits.append((customer, str(before), None))
        day = datetime(2024, 1, 5) + timedelta(days=(7 * number) % 300)
        visits += [(f"v{number}{other}", str(day), 1.5) for other in ("a", "b")]
    schema = ["customer", "at", "cost"]
    pl.DataFrame(visits, schema=schema, orient="row").write_csv(folder / "visits.csv")
    table = pl.DataFrame({"customer": ["c1", "v1a", "registered"], "city": ["x", "y", "z"]})
    table.write_csv(folder / "customers.csv")


def ingest_recipe(lines_file: Path, folder: Path) -> IngestConfig:
    """Orders, visits and the customer table."""
    orders = {
        "path": str(lines_file),
        "format": "csv",
        "kind": {"sql": "CASE WHEN amount < 0 THEN 'refund' ELSE 'purchase' END"},
        "columns": {
            "customer_id": "customer",
            "occurred_at": "at",
            "order_id": "order",
            "item_id": "item",
            "quantity": "quantity",
            "amount": "amount",
        },
    }
    visits = {
        "path": str(folder / "visits.csv"),
        "format": "csv",
        "kind": "view",
        "columns": {"customer_id": "customer", "occurred_at": "at", "cost": "cost"},
    }
    customers = {
        "path": str(folder / "customers.csv"),
        "format": "csv",
        "columns": {"customer_id": "customer", "city": "city"},
    }
    return IngestConfig.model_validate(
        {
            "sources": [orders, visits],
            "customers": customers,
            "quality_html": False,
            "output": folder / "data",
        }
    )


@pytest.fixture(scope="module")
def shop(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny shop with 200 visitors, of whom each third becomes a buyer, and a customer table; up to the artifact."""
    folder = tmp_path_factory.mktemp("visitors")
    data, examples, arena = folder / "data", folder / "examples", folder / "arena"
    write_visitors(tiny_shop.lines, folder)
    ingest(ingest_recipe(tiny_shop.lines, folder))
    prepare(
        PrepareConfig(
            data=data,
            test_cutoff=TEST_CUTOFF.date(),
            horizon_days=60,
            num_train_cutoffs=2,
            output=examples,
        )
    )
    evaluate(
        EvaluateConfig(
            data=data,
            examples=examples,
            models=("persistence", "bgnbd_gg", "lightgbm", "popularity"),
            num_resamples=20,
            clv=ClvSettings(period_days=30, num_periods=4),
            output=arena,
        )
    )
    score(ScoreConfig(data=data, artifact=arena / "artifact", output=folder / "scores"))
    return folder


def test_prospect_examples_are_those_with_events_and_no_purchase_before_each_cutoff(
    shop: Path,
) -> None:
    rows = pl.read_parquet(shop / "examples" / "prospects.parquet")
    facts = read_dataset(shop / "examples")
    events = pl.concat(
        [pl.read_parquet(path) for path in sorted((shop / "data" / "events").glob("*.parquet"))]
    )
    days = [*facts.train_cutoffs, facts.test_cutoff]
    assert rows["cutoff"].dt.date().unique().sort().to_list() == sorted(days)
    for day in days:
        cutoff = datetime(day.year, day.month, day.day, tzinfo=UTC)
        before = events.filter(pl.col("occurred_at") < cutoff)
        bought = set(before.filter(pl.col("kind") == "purchase")["customer_id"])
        found = rows.filter(pl.col("cutoff") == cutoff).sort("customer_id")  # rows come by shard
        assert found["customer_id"].to_list() == sorted(set(before["customer_id"]) - bought)
        ahead = events.filter(
            (pl.col("occurred_at") >= cutoff)
            & (pl.col("occurred_at") < cutoff + timedelta(days=60))
        ).filter(pl.col("kind") == "purchase")
        spent = dict(ahead.group_by("customer_id").agg(pl.col("amount").sum()).iter_rows())
        assert found["target"].to_list() == pytest.approx(
            [spent.get(name, 0.0) for name in found["customer_id"]]
        )
        assert not set(found["customer_id"]) & set(
            pl.read_parquet(shop / "examples" / "test.parquet").filter(pl.col("cutoff") == cutoff)[
                "customer_id"
            ]
        )


def test_rates_come_from_training_cutoffs_and_are_judged_at_the_test_cutoff(shop: Path) -> None:
    rows = pl.read_parquet(shop / "examples" / "prospects.parquet")
    rates, found = judge_prospects(shop / "examples", TEST_CUTOFF, seed=0)
    assert rates == fit_prospects(rows.filter(pl.col("cutoff") < TEST_CUTOFF), seed=0)
    test = rows.filter(pl.col("cutoff") == TEST_CUTOFF)
    assert found.num_customers == test.height > 50
    assert found.spend.actual == pytest.approx(test["target"].sum())
    assert found.spend.predicted == pytest.approx(prospect_spend(rates, test).sum())
    assert "had not bought before the cutoff" in (shop / "arena" / "report.html").read_text()


def test_scores_hold_everybody_and_new_ones_are_in_acquisition(shop: Path) -> None:
    scores = pl.read_parquet(shop / "scores" / "scores.parquet")
    events = pl.concat(
        [pl.read_parquet(path) for path in sorted((shop / "data" / "events").glob("*.parquet"))]
    )
    assert sorted(scores["customer_id"]) == sorted({*events["customer_id"], "registered"})
    manifest = read_manifest(shop / "scores", SCORES_KIND, ScoresManifest)
    assert manifest.num_customers == scores.height
    bought = set(events.filter(pl.col("kind") == "purchase")["customer_id"])
    is_new = pl.Series([name not in bought for name in scores["customer_id"]])
    assert set(scores.filter(is_new)["stage"]) == {"acquisition"}
    assert "acquisition" not in set(scores.filter(~is_new)["stage"])
    assert not scores.null_count().sum_horizontal().item()
    new = scores.filter(is_new)
    assert (new["revenue"] > 0).all() and (
        new["churn_probability"] + new["p_active"] - 1.0
    ).abs().max() < 1e-12  # type: ignore[operator]
    np.testing.assert_allclose(new["revenue"], new["expected_orders"] * new["expected_order_value"])


def test_prospects_are_in_acquisition_until_they_buy(shop: Path) -> None:
    found = json.loads((shop / "arena" / "metrics.json").read_text())["customers"]
    new, test, train = (
        pl.read_parquet(shop / "examples" / f"{part}.parquet")
        for part in ("prospects", "test", "train")
    )
    now, then = (new.filter(pl.col("cutoff") == rows["cutoff"].max()) for rows in (test, train))
    assert found["stages"]["acquisition"] == now.height > 0
    assert found["transitions"]["num_customers"]["acquisition"] == then.height > 0
    bought = then["customer_id"].is_in(test["customer_id"].implode()).mean()
    moved = found["transitions"]["shares"]["acquisition"]
    assert sum(moved.values()) == pytest.approx(1.0) and moved["acquisition"] == pytest.approx(
        1.0 - bought
    )


def test_served_values_of_prospects_equal_their_scores_beside_buyers(shop: Path) -> None:
    predictor, store = Predictor(shop / "arena" / "artifact"), EventStore(shop / "data")
    scores = pl.read_parquet(shop / "scores" / "scores.parquet")
    asked = [*scores["customer_id"][:40], *scores["customer_id"][-40:], "registered"]
    answers = predictor.value(queries_of(store, [Customer(customer_id=name) for name in asked]))
    by_customer = {row["customer_id"]: row for row in scores.iter_rows(named=True)}
    models = set()
    for name, answer in zip(asked, answers, strict=True):
        row = by_customer[name]
        assert answer["customer_id"] == name
        assert answer["clv"] == pytest.approx(row["clv"], rel=1e-12)
        assert (answer["stage"], answer["segment"]) == (row["stage"], row["segment"])
        assert (answer["model"] == PROSPECT_MODEL) == (row["stage"] == "acquisition")
        models.add(answer["model"])
    assert len(models) == 2
