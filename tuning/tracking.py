"""Experiment tracking of a search: it is one run of MLflow, and each of its trials a run below that."""

from collections.abc import Iterator
from contextlib import contextmanager

from training.tasks.recipes.union import TrainConfig
from training.tracking.follower import followed
from training.tracking.state import set_mlflow_environment
from tuning.recipe import TuneConfig


@contextmanager
def tracked_search(config: TuneConfig, trial: TrainConfig, identity: str) -> Iterator[None]:
    """Enter a search and its trials in MLflow while the block runs; `trial` is the recipe that the trials vary."""
    if trial.tracking is None:
        yield
        return
    set_mlflow_environment()
    from tuning.mlflow_search import SearchEntry

    with followed(trial.tracking.uri, SearchEntry(config, trial, trial.tracking, identity).enter):
        yield
