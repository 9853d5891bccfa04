"""Who else takes part in a run: no network, nobody who counts users, and no MLflow where none is asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import REPOSITORY
from tests.training.tracking.runs import copied, only_run
from training.tasks.recipes.union import TrainConfig

pytestmark = pytest.mark.integration


def run_script(script: str, folder: Path) -> str:
    """The output of a Python script started in `folder`, as on a machine that runs no tests."""
    environment = {
        name: value for name, value in os.environ.items() if "PYTEST" not in name and name != "CI"
    }
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


def test_local_store_needs_no_network_and_tells_nobody(
    trained: TrainConfig, tmp_path: Path
) -> None:
    config = copied(trained, tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    config.save(tmp_path / "text.yaml")
    script = (
        "import socket; from pathlib import Path\n"
        "calls = []\n"
        "real = socket.getaddrinfo\n"
        "socket.getaddrinfo = lambda *words, **others: calls.append(words) or real(*words, **others)\n"
        "socket.socket.connect = lambda self, address: calls.append(address)\n"
        "from training.tasks.recipes.union import load_recipe; from training.run.job import train\n"
        "train(load_recipe(Path('text.yaml')))\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(calls, get_telemetry_client())\n"
    )
    assert run_script(script, tmp_path) == "[] None\n"
    assert only_run(config).info.status == "FINISHED"


def test_without_tracking_mlflow_is_not_imported_and_nothing_is_written(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = copied(trained, tmp_path, store).model_copy(update={"tracking": None})
    config.save(tmp_path / "text.yaml")
    before = sorted(tmp_path.rglob("*"))
    script = (
        "import sys; from pathlib import Path\n"
        "from training.tasks.identity import run_identity\n"
        "from training.tasks.recipes.union import load_recipe\n"
        "from training.run.job import train; from training.tracking.tracked import tracked\n"
        "config = load_recipe(Path('text.yaml'))\n"
        "train(config)\n"
        "with tracked(config, run_identity(config)): pass\n"
        "print('mlflow' in sys.modules)\n"
    )
    assert run_script(script, tmp_path) == "False\n"
    assert sorted(tmp_path.rglob("*")) == before
