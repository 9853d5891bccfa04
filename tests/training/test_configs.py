"""Every recipe that is shipped: it loads in its job's Config class, and DeepSpeed accepts what it asks for."""

import re
from pathlib import Path

import pytest

from lifecycle.config import Config, Load
from lifecycle.decisions.actions import read_actions
from tests.builders import REPOSITORY
from training.audience.recipe import AudienceConfig
from training.erase.recipe import EraseConfig
from training.evaluate.recipe import EvaluateConfig
from training.ingest.recipe import IngestConfig
from training.loop.deepspeed_op import set_deepspeed_environment
from training.loop.zero import zero_config
from training.pipeline.recipe import PipelineConfig
from training.prepare.recipe import PrepareConfig
from training.score.recipe import ScoreConfig
from training.setup import SetupConfig
from training.tasks.recipes.union import load_recipe
from tuning.recipe import TuneConfig
from tuning.space import check_space

NUM_RECIPES = 49
RECIPES = sorted(path.relative_to(REPOSITORY) for path in REPOSITORY.glob("*/configs/*.yaml"))
LOADERS: dict[str, Load[Config]] = {
    "training.setup": SetupConfig.load,
    "training.ingest": IngestConfig.load,
    "training.prepare": PrepareConfig.load,
    "training.run": load_recipe,
    "training.evaluate": EvaluateConfig.load,
    "training.score": ScoreConfig.load,
    "training.audience": AudienceConfig.load,
    "training.erase": EraseConfig.load,
    "training.pipeline": PipelineConfig.load,
    "tuning.run": TuneConfig.load,
}


def job_of(recipe: Path) -> str:
    """The job that a recipe's first line starts; the line must name the recipe itself."""
    first_line = (REPOSITORY / recipe).read_text().splitlines()[0]
    launch = re.match(r"# python -m (\S+) --config (\S+)", first_line)
    assert launch, f"{recipe} does not begin with its launch line"
    assert launch[2] == str(recipe)
    return launch[1]


def recipes_of(job: str) -> list[Path]:
    return [recipe for recipe in RECIPES if job_of(recipe) == job]


def test_no_recipe_is_overlooked() -> None:
    assert len(RECIPES) == NUM_RECIPES


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_recipe_loads_and_saves_to_an_equal_one(recipe: Path, tmp_path: Path) -> None:
    load = LOADERS[job_of(recipe)]
    config = load(REPOSITORY / recipe, [])
    config.save(tmp_path / "saved.yaml")
    assert load(tmp_path / "saved.yaml", []) == config


@pytest.mark.parametrize("recipe", recipes_of("tuning.run"), ids=str)
def test_search_varies_keys_of_its_base(recipe: Path) -> None:
    config = TuneConfig.load(REPOSITORY / recipe)
    check_space(load_recipe(REPOSITORY / config.base), config.space, config.overrides)


@pytest.mark.parametrize("recipe", recipes_of("training.run"), ids=str)
def test_deepspeed_accepts_the_training_recipe(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_deepspeed_environment("cpu")
    import deepspeed.comm
    import torch
    from deepspeed.runtime.config import DeepSpeedConfig
    from deepspeed.runtime.lr_schedules import WarmupCosineLR

    config = load_recipe(REPOSITORY / recipe)
    # DeepSpeed asks the process group how many workers there are; there is none here.
    monkeypatch.setattr(deepspeed.comm, "get_rank", lambda: 0)
    monkeypatch.setattr(deepspeed.comm, "get_world_size", lambda: config.num_processes)
    num_workers = config.num_processes
    settings = zero_config(config, 100, num_workers, bf16=config.dtype != "fp32")
    accepted = DeepSpeedConfig(settings)
    assert accepted.world_size == num_workers
    assert accepted.zero_optimization_stage == config.zero.stage
    assert accepted.gradient_accumulation_steps == config.accumulation(num_workers)
    assert accepted.bfloat16_config.enabled == (config.dtype != "fp32")
    assert (accepted.optimizer_name, accepted.scheduler_name) == ("adamw", "WarmupCosineLR")
    optimizer = torch.optim.AdamW(
        [torch.nn.Parameter(torch.zeros(1))], lr=config.optimizer.learning_rate
    )
    WarmupCosineLR(optimizer, **accepted.scheduler_params)


def test_deepspeed_refuses_an_unknown_zero_key_and_a_wrong_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_deepspeed_environment("cpu")
    import deepspeed.comm
    from deepspeed.runtime.config import DeepSpeedConfig

    monkeypatch.setattr(deepspeed.comm, "get_rank", lambda: 0)
    monkeypatch.setattr(deepspeed.comm, "get_world_size", lambda: 2)
    config = load_recipe(
        REPOSITORY / recipes_of("training.run")[0], ["num_workers=2", "global_batch=64"]
    )
    settings = zero_config(config, 100, 2, bf16=True)
    with pytest.raises(ValueError, match="stagge"):
        DeepSpeedConfig(settings | {"zero_optimization": {"stagge": 2}})
    with pytest.raises(AssertionError, match="train_batch_size"):
        DeepSpeedConfig(settings | {"train_batch_size": 7})


@pytest.mark.parametrize("recipe", recipes_of("training.evaluate"), ids=str)
def test_actions_of_an_arena_fit_everybody(recipe: Path) -> None:
    rules = read_actions(REPOSITORY / EvaluateConfig.load(REPOSITORY / recipe).actions)
    assert len({rule.action for rule in rules}) > 1
