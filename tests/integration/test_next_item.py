"""Task next_item on a real local Ray: two workers train it, the arena ranks with it, it is planned and searched."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import ray
import yaml

from lifecycle.config import Tree
from lifecycle.llama.member import read_member
from lifecycle.names import SEQUENCE_LLAMA
from tests.builders import REPOSITORY, TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.run.trainer import fit
from training.tasks.recipes.union import load_recipe, parse_recipe

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture(scope="module", autouse=True)
def ray_ends_with_the_module() -> Iterator[None]:
    """Also where a fixture fails: tests of other modules start clusters of their own."""
    yield
    ray.shutdown()


def fields(shop: TinyShop, output: Path) -> Tree:
    """A recipe of a few steps over a sample of the items, whose weights ZeRO shards."""
    return {
        "task": "next_item",
        "encoder": "sequence",
        "data": str(shop.data),
        "examples": str(shop.examples),
        "sequence": {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "max_events": 20},
        "dtype": "fp32",
        "optimizer": {"learning_rate": 5e-3},
        "zero": {"stage": 3},
        "softmax_items": 20,
        "sampled_items": 15,
        "global_batch": 32,
        "micro_batch": 8,
        "epochs": 6,
        "checkpoint_every_steps": 10,
        "num_workers": 2,
        "tracking": None,
        "output": str(output),
    }


@pytest.fixture(scope="module")
def member(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two workers trained."""
    recipe = parse_recipe(fields(tiny_shop, tmp_path_factory.mktemp("next_item")))
    fit(recipe)
    return recipe.output / "member"


def run(module: str, recipe: Path) -> str:
    """What a job prints that is started as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--config", str(recipe)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_workers_leave_a_member_that_ranks_the_next_basket(
    tiny_shop: TinyShop, member: Path, tmp_path: Path
) -> None:
    progress = (member.parent / "progress.jsonl").read_text().splitlines()
    validations = [line for line in map(json.loads, progress) if "val_ndcg" in line]
    assert validations[-1]["val_loss"] < validations[0]["val_loss"]
    metrics = read_member(member, "next_item").metrics
    assert metrics["val_ndcg"] == max(line["val_ndcg"] for line in validations)
    evaluate(
        EvaluateConfig(
            data=tiny_shop.data,
            examples=tiny_shop.examples,
            ranking_members={SEQUENCE_LLAMA: member},
            models=("persistence", "popularity"),
            num_resamples=20,
            output=tmp_path / "arena",
        )
    )
    rankings = pl.read_parquet(tmp_path / "arena" / "rankings.parquet")
    lists = rankings.filter(pl.col("model") == SEQUENCE_LLAMA).group_by("customer_id")
    assert lists.agg(pl.col("item_id").n_unique())["item_id"].unique().to_list() == [20]
    found = json.loads((tmp_path / "arena" / "metrics.json").read_text())
    rated = found["recommendation"]["next_basket"]["all"]
    assert rated[SEQUENCE_LLAMA]["recall@20"] > rated["popularity"]["recall@20"]


@pytest.mark.thorough
def test_its_plan_is_measured_here(tiny_shop: TinyShop, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(fields(tiny_shop, tmp_path / "run")))
    plan = json.loads(run("training.plan", recipe).splitlines()[-1])
    assert plan["steps"] == 6 * plan["training_rows"] // 32
    assert plan["times"]["seconds_per_step"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_a_search_finds_the_recipe_of_the_highest_ndcg(tiny_shop: TinyShop, tmp_path: Path) -> None:
    base = fields(tiny_shop, tmp_path / "run") | {"num_workers": 0}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    search = {
        "base": str(tmp_path / "base.yaml"),
        "space": {"sequence.dropout": {"choice": [0.0, 0.9]}},
        "metric": "val_ndcg",
        "mode": "max",
        "num_trials": 2,
        "minutes": 4,
        "output": str(tmp_path / "search"),
    }
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(search))
    run("tuning.run", tmp_path / "search.yaml")
    trials = pl.read_parquet(tmp_path / "search" / "trials.parquet").drop_nulls("val_ndcg")
    completed = trials.filter(pl.col("status") == "completed").sort("val_ndcg")
    best = load_recipe(tmp_path / "search" / "best.yaml")
    assert best.sequence.dropout == completed["sequence.dropout"][-1]
