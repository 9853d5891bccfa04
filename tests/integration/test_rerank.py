"""Task rerank on a real local Ray: two workers train it, and the arena judges it beside the untrained model."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch

from lifecycle.config import Tree
from lifecycle.llama.member import read_member
from lifecycle.llama.rerank import (
    Reranker,
    item_log_likelihoods,
    load_reranker,
)
from lifecycle.names import RERANKER
from tests.builders import TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.plan.job import make_plan
from training.run.trainer import fit
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.union import parse_recipe
from training.tasks.rerank.titles import NextTitle, read_next_titles

pytestmark = [pytest.mark.integration, pytest.mark.alone]
ALL_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module", autouse=True)
def ray_ends_with_the_module() -> Iterator[None]:
    """Also where a fixture fails: tests of other modules start clusters of their own."""
    yield
    ray.shutdown()


def fields(shop: TinyShop, base_model: Path, output: Path) -> Tree:
    """A recipe of a few steps."""
    return {
        "task": "rerank",
        "data": str(shop.data),
        "examples": str(shop.examples),
        "base_model": str(base_model),
        "lora": {"rank": 16, "alpha": 32, "targets": ALL_LAYERS},
        "optimizer": {"learning_rate": 3e-3},
        "dtype": "fp32",
        "attention": "eager",
        "zero": {"stage": 2},
        "global_batch": 16,
        "micro_batch": 8,
        "max_steps": 40,
        "validation_rows": 64,
        "checkpoint_every_steps": 20,
        "num_workers": 2,
        "tracking": None,
        "output": str(output),
    }


@pytest.fixture(scope="module")
def recipe(
    tiny_shop: TinyShop, tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> RerankRecipe:
    found = parse_recipe(fields(tiny_shop, tiny_chat_model, tmp_path_factory.mktemp("rerank")))
    assert isinstance(found, RerankRecipe)
    return found


@pytest.fixture(scope="module")
def member(recipe: RerankRecipe) -> Path:
    """What two workers trained."""
    fit(recipe)
    return recipe.output / "member"


def mean_likelihood(reranker: Reranker, asked: list[NextTitle]) -> float:
    """Of the titles that customers went on to buy, nats per token."""
    found = [
        item_log_likelihoods(reranker.model, reranker.tokenizer, one.prompt, [one.title])[0]
        for one in asked
    ]
    return float(sum(found) / len(found))


def test_training_makes_the_true_next_title_likelier(
    recipe: RerankRecipe, member: Path, tiny_chat_model: Path
) -> None:
    progress = (recipe.output / "progress.jsonl").read_text().splitlines()
    losses = [line["val_loss"] for line in map(json.loads, progress) if "val_loss" in line]
    assert losses[-1] < losses[0]
    manifest = read_member(member, "rerank")
    assert manifest.name == RERANKER and manifest.metrics["val_loss"] == min(losses)
    _, asked = read_next_titles(recipe)
    threads = torch.get_num_threads()
    untrained = mean_likelihood(load_reranker(tiny_chat_model, "eager"), asked[:60])
    trained = mean_likelihood(load_reranker(tiny_chat_model, "eager", member), asked[:60])
    torch.set_num_threads(threads)
    assert trained > untrained + 1.0
    assert -trained == pytest.approx(losses[-1], rel=0.2), "validated as it is served"


def test_the_arena_weighs_it_and_tells_what_training_brought(
    tiny_shop: TinyShop, member: Path, tmp_path: Path
) -> None:
    config = EvaluateConfig(
        data=tiny_shop.data,
        examples=tiny_shop.examples,
        ranking_members={RERANKER: member},
        models=("persistence", "popularity", RERANKER),
        rerank_customers=60,
        num_candidates=20,
        num_resamples=50,
        output=tmp_path / "arena",
    )
    evaluate(config)
    metrics = json.loads((tmp_path / "arena" / "metrics.json").read_text())
    found = metrics["recommender"]["reranking"]
    assert found["over"] == "popularity" and len(found["ndcg@20"]) == 7
    assert found["before_test"]["all"]["num_customers"] == 60
    assert found["trained_minus_untrained"]["over"] == f"untrained {RERANKER}"
    assert (found["weight"] > 0) == (found["before_test"]["all"]["ndcg@20"][1] > 0)
    assert (found["weight"] > 0) == bool(found["test"])
    rated = metrics["recommendation"]["next_basket"]["all"]
    assert rated[RERANKER]["num_customers"] == 60
    if found["weight"] == 0:
        assert rated[RERANKER] == rated["popularity@sample"]
    assert "Re-ranking by LLaMA" in (tmp_path / "arena" / "report.html").read_text()


def test_members_of_other_tasks_are_refused(
    tiny_shop: TinyShop, tmp_path: Path, member: Path
) -> None:
    config = EvaluateConfig(
        data=tiny_shop.data,
        examples=tiny_shop.examples,
        ranking_members={"sequence_llama": member},
        output=tmp_path / "arena",
    )
    with pytest.raises(ValueError, match="trained for task rerank; task next_item is needed"):
        evaluate(config)


def test_it_is_planned(recipe: RerankRecipe) -> None:
    plan = make_plan(recipe.model_copy(update={"output": recipe.output / "plan"}))
    assert plan.length.training_rows == len(read_next_titles(recipe)[0])
    assert (
        plan.length.steps == 40 and plan.sizes.adapter_parameters == plan.sizes.trainable_parameters
    )
