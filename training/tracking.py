"""Experiment tracking beside a job: a thread of the driver copies what the run's folder says into MLflow.

Workers know nothing of it. What MLflow has is compared with the folder each time, so a resumed run goes on in the same
MLflow run, and a server that was away gets what it missed.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from lifecycle.folders import write_json
from training.recipe import PROGRESS_FILE, TrackingSettings, TrainConfig

logger = logging.getLogger(__name__)
STATE_FILE = "tracking.json"
SQLITE = "sqlite:///"
EVERY_SECONDS = 5.0
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # statuses of a run, in MLflow's words
ENVIRONMENT = {  # read when MLflow is imported; the environment that is there goes before
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; default 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # default 7, over minutes; the thread itself tries again
}

Enter = Callable[[str], None]


@contextmanager
def tracked(config: TrainConfig, identity: str) -> Iterator[None]:
    """Enter a training run in MLflow while the block runs, and its member in the registry once the block is done."""
    if config.tracking is None:
        yield
        return
    progress = config.output / PROGRESS_FILE
    with followed(config.tracking.uri, _training_entry(config, config.tracking, identity), begins=progress.exists):
        yield


def _training_entry(config: TrainConfig, tracking: TrackingSettings, identity: str) -> Enter:
    """Imports MLflow where it is first called: in the follower's thread, after the workers have started."""
    entries: list[Enter] = []

    def enter(status: str) -> None:
        if not entries:
            set_environment()
            from training.mlflow_run import TrainingEntry

            entries.append(TrainingEntry(config, tracking, identity).enter)
        entries[0](status)

    return enter


def enter_finished(config: TrainConfig, identity: str) -> None:
    """Enter a finished run that MLflow does not have as a whole, as where driver or store were lost at its end."""
    if config.tracking is not None:
        if read_state(config.output, config.tracking, identity).get("status") != FINISHED:
            with tracked(config, identity):
                pass


def set_environment() -> None:
    """What MLflow reads from the environment; call before importing it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def followed(uri: str, enter: Enter, begins: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Call `enter` with the status every few seconds while the block runs, and with its final status at the end.

    The first call waits for `begins`: while workers start they need the cores. All calls are made in a thread of their
    own, where a slow store holds up nothing. A failure is a warning: the next call tries again, and no job ends for it.
    """
    follower = Follower(uri, enter, begins)
    try:
        yield
    except KeyboardInterrupt:
        follower.end(KILLED)
        raise
    except BaseException:
        follower.end(FAILED)
        raise
    follower.end(FINISHED)


class Follower:
    """The thread that calls `enter`; owns the status and whether its failure was told."""

    def __init__(self, uri: str, enter: Enter, begins: Callable[[], bool]) -> None:
        self.uri, self.enter, self.begins = uri, enter, begins
        self.status, self.is_failing = RUNNING, False
        self.is_over = Event()
        self.thread = Thread(target=self._follow, name="tracking", daemon=True)
        self.thread.start()

    def end(self, status: str) -> None:
        """Have the final status entered, and wait for it."""
        self.status = status
        self.is_over.set()
        self.thread.join()

    def _follow(self) -> None:
        while not self.begins() and not self.is_over.wait(1.0):
            pass
        while not self.is_over.is_set():
            self._try(RUNNING)
            self.is_over.wait(EVERY_SECONDS)
        was_failing = self.is_failing
        self._try(self.status)
        if self.is_failing and not was_failing:  # a hiccup must not cost the member its place in the registry
            self._try(self.status)

    def _try(self, status: str) -> None:
        try:
            self.enter(status)
            self.is_failing = False
        except Exception as error:  # of MLflow, its database driver, HTTP or the disk: none may end a training run
            if not self.is_failing:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                logger.warning("MLflow at %s failed: %s; the job goes on, and entering it is tried again",
                               self.uri, reason)  # fmt: skip
            self.is_failing = True


def absolute_uri(uri: str) -> str:
    """The URI with a local file's path made absolute."""
    return SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute()) if uri.startswith(SQLITE) else uri


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
