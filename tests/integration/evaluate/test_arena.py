"""The arena with a LLaMA on a real local Ray: what it writes, and that it is not judged twice."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.shards import read_items
from lifecycle.folders import verify
from lifecycle.names import RANKERS, ROUTER, VALUE_MODELS
from tests.builders import VALUE_METRICS, TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

pytestmark = [pytest.mark.integration, pytest.mark.alone]


VALUE = {*VALUE_MODELS, "text_llama", "stack_without_llama"}
ACCURACY = {f"{name}@{k}" for name in ("hr", "recall", "ndcg") for k in (10, 20)}
BEYOND = {"novelty", "diversity", "repeat_share", "true_repeat_share"}
RANK_METRICS = ACCURACY | BEYOND | {"coverage", "outside_catalogue", "num_customers", "ci"}
RANKED = (*RANKERS, ROUTER)


def test_metrics_hold_every_model_group_and_key(arena: Path, config: EvaluateConfig) -> None:
    metrics = json.loads((arena / "metrics.json").read_text())
    assert (metrics["cutoff"], metrics["horizon_days"]) == ("2024-10-30", 60)
    assert set(metrics["models"]) == VALUE and metrics["champion"] in VALUE
    for entry in metrics["models"].values():
        assert set(entry) == VALUE_METRICS
        assert set(entry["ci"]) == VALUE_METRICS - {"ci", "customers_per_second"}
    groups = metrics["recommendation"]["next_basket"]
    assert set(groups) == {"all", "new", "thin", "rich", "repeat_items", "new_items"}
    names = {*RANKED, *(f"{name}@sample" for name in RANKED), "text_llama_rerank"}
    for group in groups.values():
        assert set(group) == names
        assert all(set(row) == RANK_METRICS for row in group.values())
        assert all(set(row["ci"]) == ACCURACY | BEYOND for row in group.values())
    assert {row["outside_catalogue"] for row in groups["all"].values()} == {0.0}
    sampled = {row["num_customers"] for name, row in groups["all"].items() if name not in RANKED}
    assert sampled == {config.rerank_customers}
    verdict = metrics["fine_tuning"]
    assert verdict["num_customers"] == 30
    assert set(verdict["models"]) == {"text_llama", *verdict["text_llama_minus"]}
    for name in ("untrained_probe", "untrained_probe_same_layers", "ridge_same_numbers"):
        assert len(verdict["text_llama_minus"][name]["rmse"]) == 3
    assert set(metrics["champion_minus"]) == VALUE - {metrics["champion"]}
    assert all(
        set(found) == {"mae", "rmse", "gini", "spearman"}
        for found in metrics["champion_minus"].values()
    )
    rmse = {name: metrics["models"][name]["rmse"] for name in ("stack", "stack_without_llama")}
    estimate, low, high = metrics["llama_gain"]["rmse"]
    assert estimate == pytest.approx(rmse["stack"] - rmse["stack_without_llama"]) and low <= high
    assert set(metrics["selection"]["backtest"]) == VALUE, "encoders that were there may be chosen"
    page = (arena / "report.html").read_text()
    assert "What fine-tuning bought" in page and "stack minus stack without LLaMA" in page


def test_predictions_have_a_row_per_test_customer_and_model(
    arena: Path, tiny_shop: TinyShop
) -> None:
    frame = pl.read_parquet(arena / "predictions.parquet")
    assert frame.columns == [
        "customer_id",
        "model",
        "predicted",
        "low_80",
        "high_80",
        "low_95",
        "high_95",
        "actual",
        "actual_net",
    ]
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    for (_,), rows in frame.group_by("model"):
        assert rows["customer_id"].equals(test["customer_id"])
        assert rows["actual"].equals(test["target"], check_names=False)
    assert np.isfinite(frame.select(pl.col(pl.Float64)).to_numpy()).all()


def test_rankings_have_twenty_items_per_customer_and_model(
    arena: Path, config: EvaluateConfig, tiny_shop: TinyShop
) -> None:
    frame = pl.read_parquet(arena / "rankings.parquet")
    assert frame.columns == ["customer_id", "task", "model", "rank", "item_id", "score"]
    assert set(frame["task"]) == {"next_basket"}
    lists = frame.group_by("model", "customer_id").agg(pl.col("rank").sort(), pl.col("item_id"))
    assert lists["rank"].to_list() == [list(range(1, 21))] * lists.height
    catalogue = set(read_items(tiny_shop.data)["item_id"])
    assert all(len(set(items)) == 20 and set(items) <= catalogue for items in lists["item_id"])
    customers = {model: set(rows["customer_id"]) for (model,), rows in lists.group_by("model")}
    sample = customers["text_llama_rerank"]
    assert len(sample) == config.rerank_customers and sample < customers["popularity"]
    for name in RANKED:
        assert customers[f"{name}@sample"] == sample
        full, part = (
            frame.filter(pl.col("model") == model).drop("model")
            for model in (name, f"{name}@sample")
        )
        assert full.filter(pl.col("customer_id").is_in(list(sample))).equals(part)


def test_evaluating_again_changes_nothing_and_other_inputs_are_refused(
    arena: Path, config: EvaluateConfig, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in arena.rglob("*") if path.is_file()}
    evaluate(config)
    evaluate(config.model_copy(update={"num_workers": 1}))
    assert {path: path.stat().st_mtime_ns for path in arena.rglob("*") if path.is_file()} == before
    verify(arena / "artifact", "artifact")
    with pytest.raises(ValueError, match="made from another config"):
        evaluate(config.model_copy(update={"seed": 1}))

    recipe = PrepareConfig.load(tiny_shop.examples / "prepare.yaml")
    others = recipe.model_copy(
        update={"horizon_days": 30, "test_cutoff": None, "output": tmp_path / "examples"}
    )
    prepare(others)
    with pytest.raises(ValueError, match="trained on other examples"):
        evaluate(
            config.model_copy(
                update={"examples": tmp_path / "examples", "output": tmp_path / "new"}
            )
        )
    assert not (tmp_path / "new").exists()
