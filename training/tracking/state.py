"""Which MLflow run a job's folder belongs to, and what MLflow reads from the environment."""

import json
import os
from pathlib import Path

from lifecycle.folders import write_json
from training.recipe import TrackingSettings

STATE_FILE = "tracking.json"
SQLITE = "sqlite:///"
RUNNING, FINISHED, FAILED, KILLED = (
    "RUNNING",
    "FINISHED",
    "FAILED",
    "KILLED",
)  # statuses of a run, in MLflow's words
ENVIRONMENT = {  # read when MLflow is imported; the environment that is there goes before
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; default 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # default 7, over minutes; the thread itself tries again
}


def set_mlflow_environment() -> None:
    """What MLflow reads from the environment; call before importing it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def absolute_uri(uri: str) -> str:
    """The URI with a local file's path made absolute."""
    return (
        SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute()) if uri.startswith(SQLITE) else uri
    )


def read_state(output: Path, tracking: TrackingSettings, identity: str) -> dict[str, str]:
    """Which MLflow run a job's folder belongs to; empty where there is none yet in this store, or for this recipe."""
    path = output / STATE_FILE
    state: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    is_same = (state.get("uri"), state.get("identity")) == (absolute_uri(tracking.uri), identity)
    return state if is_same else {}


def close_state(output: Path, status: str) -> None:
    """Remember that all of a job's folder is in MLflow, with its final status."""
    path = output / STATE_FILE
    write_json(path, json.loads(path.read_text()) | {"status": status})
