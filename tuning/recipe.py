"""The search recipe: what `tuning.run` reads, and what must hold before a search starts."""

import math
from pathlib import Path
from typing import Literal

from pydantic import Field

from lifecycle.config import Config, Tree
from lifecycle.folders import fingerprint
from lifecycle.llama.member import base_model_identity
from training.tasks.identity import run_identity, run_origin
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.union import TrainConfig
from training.tasks.rows import check_activation_cache, num_training_rows
from tuning.space import Range

REPORTED = {  # by task
    "value": ("val_loss", "val_rmse"),
    "next_item": ("val_loss", "val_ndcg", "val_hr"),
    "sft": ("val_loss",),
    "rerank": ("val_loss",),
}


class AshaSettings(Config):
    """Asynchronous successive halving (arXiv 1810.05934), counted in checkpoints of a trial."""

    grace_checkpoints: int = Field(1, ge=1)  # no trial is stopped before
    reduction_factor: float = Field(3.0, gt=1)  # the best 1 / reduction_factor of a rung go on


class TuneConfig(Config):
    """Recipe of `python -m tuning.run`. Keys of `space` and `overrides` are dotted keys of the training recipe."""

    base: Path
    space: dict[str, Range] = Field(min_length=1)
    overrides: dict[
        str, object
    ] = {}  # for every trial, such as max_steps; best.yaml does not have them
    metric: Literal["val_loss", "val_rmse", "val_ndcg", "val_hr"] = "val_rmse"
    mode: Literal["min", "max"] = "min"
    num_trials: int = Field(ge=1)
    minutes: float = Field(gt=0)  # wall time of the search, over all its resumptions
    max_concurrent_trials: int = Field(1, ge=1)
    asha: AshaSettings = AshaSettings()
    max_failures: int = Field(1, ge=0)  # lost processes before a trial is given up
    seed: int = 0
    output: Path


def check_trial(config: TuneConfig, trial: TrainConfig) -> int:
    """How many checkpoints a trial reports; ValueError where it cannot run."""
    if trial.base_model is not None:
        base_model_identity(trial.base_model)
    reported = REPORTED[trial.task]
    if config.metric not in reported:
        raise ValueError(
            f"metric is {config.metric}, but trials of task {trial.task} report {', '.join(reported)}"
        )
    if isinstance(trial, NextItemRecipe) and (trial.patience is not None or trial.learn_validation):
        raise ValueError(
            "trials are compared after as many steps, on purchases that they do not learn from: "
            "say overrides {patience: null, learn_validation: false}"
        )
    run_identity(trial)  # it looks at the member to start from
    check_activation_cache(trial)
    num_steps = trial.num_steps(num_training_rows(trial))
    num_checkpoints = math.ceil(num_steps / trial.checkpoint_every_steps)
    if config.asha.grace_checkpoints > num_checkpoints:
        raise ValueError(
            f"asha.grace_checkpoints is {config.asha.grace_checkpoints}, but a trial of {num_steps} steps with "
            f"checkpoint_every_steps {trial.checkpoint_every_steps} reports {num_checkpoints}"
        )
    return num_checkpoints


def search_identity(config: TuneConfig, base: TrainConfig) -> str:
    """Fingerprint of what decides the result: the search, the recipe it starts from, the examples, the base model."""
    return fingerprint([_search(config), run_identity(base)])


def search_made_from(config: TuneConfig, base: TrainConfig) -> Tree:
    """What `search_identity` stands for, key by key."""
    return _search(config) | {"base": run_origin(base).made_from}


def _search(config: TuneConfig) -> Tree:
    return config.model_dump(mode="json", exclude={"output", "base"})
