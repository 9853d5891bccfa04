"""A finished run in a real MLflow store, and an empty store of each test's own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import TinyShop, kept_process_state
from tests.training.tracking.runs import with_store
from training.run.job import train
from training.tasks.recipes.union import TrainConfig, parse_recipe
from training.tracking import follower
from training.tracking.mlflow_run import create_store

NUM_STEPS = 6


@pytest.fixture(autouse=True)
def process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Copies are made ten times a second; what tracking sets in the environment is put back."""
    monkeypatch.setattr(follower, "EVERY_SECONDS", 0.1)
    with kept_process_state():
        yield


@pytest.fixture(scope="session")
def config(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainConfig:
    folder = tmp_path_factory.mktemp("tracking")
    return parse_recipe(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "base_model": str(tiny_base_model),
            "lora": {"rank": 4, "alpha": 8},
            "max_tokens": 320,
            "dtype": "fp32",
            "attention": "eager",
            "global_batch": 8,
            "micro_batch": 8,
            "max_steps": NUM_STEPS,
            "validation_rows": 8,
            "checkpoint_every_steps": 2,
            "num_workers": 0,
            "tracking": {"uri": f"sqlite:///{folder / 'mlflow.db'}"},
            "output": folder / "text",
        }
    )


@pytest.fixture(scope="session")
def trained(config: TrainConfig) -> TrainConfig:
    """The recipe after its run, started where the relative path of its store leads."""
    here = Path.cwd()
    assert config.tracking is not None
    with kept_process_state():
        os.chdir(config.output.parent)
        try:
            train(with_store(config, config.output, "sqlite:///mlflow.db"))
        finally:
            os.chdir(here)
    return config


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local store with its tables and nothing else; MLflow takes a second to make one."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    create_store(path)
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    """The URI of a store of the test's own."""
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
