"""A tiny LLaMA, trained for a few steps, and the arena that it took part in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from tests.builders import TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.prepare.dataset import BACKTEST

SAMPLE = 40  # fewer than 30 would choose no weight for re-ranking


@pytest.fixture(scope="module", autouse=True)
def ray_ends_with_the_module() -> Iterator[None]:
    """Also where a fixture fails: tests of other modules start clusters of their own."""
    yield
    ray.shutdown()


@dataclass(frozen=True)
class Trained:
    """A text_llama of a few steps, and one that knows only what was known at the cutoff of the backtest."""

    member: Path
    backtest_member: Path


@pytest.fixture(scope="session")
def trained(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """Both are trained inside this process."""
    from training.run.trainer import fit
    from training.tasks.recipes.union import parse_recipe

    members = []
    for examples in (tiny_shop.examples, tiny_shop.examples / BACKTEST):
        config = {
            "data": tiny_shop.data,
            "examples": examples,
            "base_model": str(tiny_base_model),
            "num_layers": 1,
            "lora": {"rank": 4, "alpha": 8},
            "max_tokens": 400,
            "dtype": "fp32",
            "attention": "eager",
            "global_batch": 8,
            "micro_batch": 8,
            "max_steps": 10,
            "validation_rows": 16,
            "checkpoint_every_steps": 10,
            "num_workers": 0,
            "output": tmp_path_factory.mktemp("text"),
        }
        recipe = parse_recipe(config)
        fit(recipe)
        members.append(recipe.output / "member")
    return Trained(*members)


@pytest.fixture(scope="session")
def member(trained: Trained) -> Path:
    """The text_llama that can be served."""
    return trained.member


@pytest.fixture(scope="session")
def config(
    tiny_shop: TinyShop, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> EvaluateConfig:
    """The recipe of the arena, sized for tests."""
    return EvaluateConfig.model_validate(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "members": {"text_llama": trained.member},
            "backtest_members": {"text_llama": trained.backtest_member},
            "clv": {"period_days": 30, "num_periods": 3},
            "rerank_customers": SAMPLE,
            "untrained_customers": 30,
            "probe_rows": 40,
            "num_resamples": 20,
            "output": tmp_path_factory.mktemp("arena"),
        }
    )


@pytest.fixture(scope="session")
def arena(config: EvaluateConfig) -> Path:
    """The finished arena's folder."""
    evaluate(config)
    return config.output
