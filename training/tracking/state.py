"""Which MLflow run a job's folder belongs to, and what MLflow reads from the environment."""

import os
from pathlib import Path

from lifecycle.folders import Stored, read_stored, write_json
from training.recipe import TrackingSettings

STATE_FILE = "tracking.json"
SQLITE = "sqlite:///"
# Statuses of a run, in MLflow's words.
RUNNING = "RUNNING"
FINISHED = "FINISHED"
FAILED = "FAILED"
KILLED = "KILLED"
ENVIRONMENT = {  # read when MLflow is imported; the environment that is there goes before
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; default 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # default 7, over minutes; the thread itself tries again
}


class TrackedRun(Stored):
    """tracking.json: which MLflow run a job's folder belongs to."""

    uri: str  # of the store
    identity: str  # of the job
    folder: str  # the value of the run's tag, which it is found by
    run_id: str | None = None  # once there is a run
    status: str | None = None  # the final one, once all of the folder is in MLflow


def set_mlflow_environment() -> None:
    """What MLflow reads from the environment; call before importing it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def absolute_uri(uri: str) -> str:
    """The URI with a local file's path made absolute."""
    return (
        SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute()) if uri.startswith(SQLITE) else uri
    )


def read_state(output: Path, tracking: TrackingSettings, identity: str) -> TrackedRun | None:
    """Which MLflow run a job's folder belongs to; None where there is none yet in this store, or for this recipe."""
    path = output / STATE_FILE
    if not path.exists():
        return None
    state = read_stored(path, TrackedRun)
    is_same = (state.uri, state.identity) == (absolute_uri(tracking.uri), identity)
    return state if is_same else None


def write_state(output: Path, state: TrackedRun) -> None:
    """Write what is known so far."""
    write_json(output / STATE_FILE, state.model_dump(mode="json", exclude_none=True))


def close_state(output: Path, status: str) -> None:
    """Remember that all of a job's folder is in MLflow, with its final status."""
    state = read_stored(output / STATE_FILE, TrackedRun)
    write_state(output, state.model_copy(update={"status": status}))
