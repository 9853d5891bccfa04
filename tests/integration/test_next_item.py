"""Task next_item on a real local Ray: two workers train it, the arena ranks with it, it is planned and searched."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import ray
import yaml

from lifecycle.artifact.files import load_artifact
from lifecycle.config import Tree
from lifecycle.llama.member import read_member
from lifecycle.names import ROUTER, SEQUENCE_LLAMA
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from serving.store.events import EventStore
from tests.builders import REPOSITORY, TinyShop
from tests.serving.builders import TEST_CUTOFF
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
    assert found["recommender"]["model"] == SEQUENCE_LLAMA
    _served_as_judged(tmp_path / "arena", tiny_shop)


def _served_as_judged(arena: Path, shop: TinyShop) -> None:
    """The service ranks as the arena did, under every option, and imports torch where it is first asked to."""
    script = (
        "import sys; from pathlib import Path; from serving.predict.predictor import Predictor; "
        "Predictor(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, arena / "artifact"], cwd=REPOSITORY, check=True)
    artifact = load_artifact(arena / "artifact")
    judged = pl.read_parquet(arena / "rankings.parquet").filter(pl.col("model") == ROUTER)
    events = EventStore(shop.data).events_of(judged["customer_id"].unique().sort().to_list())
    asked = [CustomerQuery(name, own, {}, as_of=TEST_CUTOFF) for name, own in events.items()]
    answers = recommend(artifact, asked, RecommendOptions(k=20))
    assert {answer["model"] for answer in answers} == {SEQUENCE_LLAMA}
    served = pl.DataFrame(
        [
            (answer["customer_id"], rank, row["item_id"], row["score"])
            for answer in answers
            for rank, row in enumerate(answer["recommendations"], start=1)
        ],
        schema=["customer_id", "rank", "item_id", "served"],
        orient="row",
    )
    both = judged.join(served, on=["customer_id", "rank"])
    assert both.height == judged.height == served.height
    assert both.select((pl.col("score") - pl.col("served")).abs().max()).item() < 1e-4
    assert (both["item_id"] == both["item_id_right"]).mean() > 0.99
    tea = artifact.items.filter(pl.col("category") == "tea")["item_id"]
    (answer,) = recommend(artifact, asked[:1], RecommendOptions(k=100, category="tea"))
    assert {row["item_id"] for row in answer["recommendations"]} == set(tea)
    dear = replace(artifact, items=artifact.items.with_columns(margin=pl.lit(2.0)))
    (answer,) = recommend(dear, asked[:1], RecommendOptions(k=20, objective="margin"))
    first = served.head(20)
    for row, score in zip(answer["recommendations"], first["served"], strict=True):
        assert row["score"] == pytest.approx(2 * math.exp(score), rel=1e-3)


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
