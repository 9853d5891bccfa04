"""Runs as tests of tracking make them, and what MLflow knows of them."""

import json
import shutil
import socket
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from training.recipe import TrackingSettings
from training.tasks.recipes.union import TrainConfig
from training.tracking.state import STATE_FILE


def with_store(config: TrainConfig, output: Path, uri: str, **settings: str) -> TrainConfig:
    """The recipe with another output and another store."""
    return config.model_copy(
        update={"output": output, "tracking": TrackingSettings(uri=uri, **settings)}
    )


def copied(trained: TrainConfig, folder: Path, uri: str, **settings: str) -> TrainConfig:
    """A finished run whose folder knows of no MLflow yet."""
    shutil.copytree(
        trained.output, folder / "text", ignore=shutil.ignore_patterns(STATE_FILE, "ray")
    )
    return with_store(trained, folder / "text", uri, **settings)


def begun(trained: TrainConfig, folder: Path, uri: str) -> TrainConfig:
    """A run that has just begun: a folder with its recipe and no progress."""
    (folder / "text").mkdir()
    return with_store(trained, folder / "text", uri)


def write_steps(config: TrainConfig, *steps: int) -> None:
    """Append lines to progress.jsonl as the loop does."""
    with (config.output / "progress.jsonl").open("a") as file:
        for step in steps:
            file.write(json.dumps({"step": step, "loss": 10.0 / step, "eta_seconds": 1.0}) + "\n")


def client_of(config: TrainConfig) -> MlflowClient:
    assert config.tracking is not None
    return MlflowClient(config.tracking.uri, config.tracking.uri)


def runs_of(config: TrainConfig) -> list[Run]:
    """All runs of the recipe's experiment."""
    assert config.tracking is not None
    client = client_of(config)
    experiment = client.get_experiment_by_name(config.tracking.experiment)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def only_run(config: TrainConfig) -> Run:
    (run,) = runs_of(config)
    return run


def history(config: TrainConfig, run: Run, name: str) -> list[tuple[int, float]]:
    """Steps and values of a metric in the order in which they were logged."""
    return [
        (metric.step, metric.value)
        for metric in client_of(config).get_metric_history(run.info.run_id, name)
    ]


def logged_steps(config: TrainConfig) -> list[int]:
    return [step for step, _ in history(config, only_run(config), "loss")]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
