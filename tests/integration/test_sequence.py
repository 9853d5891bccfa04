"""The sequence encoder on a real local Ray: two workers train it, the arena judges it, it serves and scores."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import ray

from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.llama.member import read_member
from lifecycle.names import SEQUENCE_LLAMA
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from tests.builders import TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.run.trainer import fit
from training.score.job import score
from training.score.recipe import ScoreConfig
from training.tasks.recipes.union import parse_recipe

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture(scope="module", autouse=True)
def ray_ends_with_the_module() -> Iterator[None]:
    """Also where a fixture fails: tests of other modules start clusters of their own."""
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def member(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of a few steps, trained by two workers."""
    recipe = parse_recipe(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "encoder": "sequence",
            "dtype": "fp32",
            "sequence": {"hidden_size": 32, "num_layers": 1, "num_heads": 2, "max_events": 48},
            "optimizer": {"learning_rate": 2e-3},
            "global_batch": 32,
            "micro_batch": 8,
            "epochs": 6,
            "checkpoint_every_steps": 15,
            "num_workers": 2,
            "output": tmp_path_factory.mktemp("sequence"),
        }
    )
    fit(recipe)
    return recipe.output / "member"


@pytest.fixture(scope="module")
def arena(tiny_shop: TinyShop, member: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arena in which no other value model takes part."""
    output = tmp_path_factory.mktemp("arena")
    evaluate(
        EvaluateConfig.model_validate(
            {
                "data": tiny_shop.data,
                "examples": tiny_shop.examples,
                "members": {SEQUENCE_LLAMA: member},
                "models": ["popularity"],
                "clv": {"period_days": 30, "num_periods": 4},
                "num_resamples": 20,
                "output": output,
            }
        )
    )
    return output


def test_two_workers_leave_a_member_and_progress(member: Path) -> None:
    manifest = read_member(member)
    assert (manifest.name, manifest.encoder) == (SEQUENCE_LLAMA, "sequence")
    lines = [
        json.loads(line) for line in (member.parent / "progress.jsonl").read_text().splitlines()
    ]
    assert lines[-1]["val_loss"] < lines[0]["loss"] and lines[-1]["tokens_per_second"] > 0


def test_arena_judges_it_beside_the_others(arena: Path) -> None:
    metrics = json.loads((arena / "metrics.json").read_text())
    assert metrics["champion"] == SEQUENCE_LLAMA and set(metrics["models"]) == {SEQUENCE_LLAMA}
    assert metrics["models"][SEQUENCE_LLAMA]["gini"] > 0.1
    assert metrics["models"][SEQUENCE_LLAMA]["customers_per_second"] > 0
    assert metrics["fine_tuning"] is None


def test_served_and_scored_values_are_the_judged_ones(
    arena: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    cutoff = datetime(2024, 10, 30, tzinfo=UTC)
    judged = pl.read_parquet(arena / "predictions.parquet")
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    by_customer = events.partition_by("customer_id", as_dict=True)
    predictor = Predictor(arena / "artifact")
    names = judged["customer_id"].to_list()
    answers = predictor.value(
        [CustomerQuery(name, by_customer[(name,)], {}, cutoff) for name in names]
    )
    assert {answer["model"] for answer in answers} == {SEQUENCE_LLAMA}
    within = [sum(period["revenue"] for period in answer["periods"][:2]) for answer in answers]
    np.testing.assert_allclose(within, judged["predicted"].to_numpy(), rtol=1e-4)
    alone = predictor.value([CustomerQuery(names[3], by_customer[(names[3],)], {}, cutoff)])
    assert alone[0]["clv"] == pytest.approx(answers[3]["clv"], rel=1e-4)
    score(
        ScoreConfig(
            data=tiny_shop.data,
            artifact=arena / "artifact",
            output=tmp_path / "scores",
            as_of=cutoff,
        )
    )
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").filter(
        pl.col("stage") != "acquisition"
    )
    clv = dict(scores.select("customer_id", "clv").iter_rows())
    np.testing.assert_allclose(
        [clv[name] for name in names], [answer["clv"] for answer in answers], rtol=1e-4
    )


def test_member_under_the_name_of_another_is_refused(
    tiny_shop: TinyShop, member: Path, tmp_path: Path
) -> None:
    config = EvaluateConfig.model_validate(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "members": {"text_llama": member},
            "output": tmp_path / "arena",
        }
    )
    with pytest.raises(ValueError, match=r"members.text_llama: .* holds a sequence_llama"):
        evaluate(config)
