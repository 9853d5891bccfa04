"""Experiment tracking beside a job: a thread of the driver copies what the run's folder says into MLflow.

Workers know nothing of it. What MLflow has is compared with the folder each time, so a resumed run
goes on in the same MLflow run, and a server that was away gets what it missed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from training.recipe import PROGRESS_FILE, TrackingSettings
from training.tasks.recipes.union import TrainConfig
from training.tracking.follower import Enter, followed
from training.tracking.state import FINISHED, read_state, set_mlflow_environment


@contextmanager
def tracked(config: TrainConfig, identity: str) -> Iterator[None]:
    """Enter a training run in MLflow while the block runs, and its member in the registry once the block is done."""
    if config.tracking is None:
        yield
        return
    progress = config.output / PROGRESS_FILE
    with followed(
        config.tracking.uri,
        _training_entry(config, config.tracking, identity),
        begins=progress.exists,
    ):
        yield


def _training_entry(config: TrainConfig, tracking: TrackingSettings, identity: str) -> Enter:
    """Imports MLflow where it is first called: in the follower's thread, after the workers have started."""
    entries: list[Enter] = []

    def enter(status: str) -> None:
        if not entries:
            set_mlflow_environment()
            from training.tracking.mlflow_run import TrainingEntry

            entries.append(TrainingEntry(config, tracking, identity).enter)
        entries[0](status)

    return enter


def enter_finished(config: TrainConfig, identity: str) -> None:
    """Enter a finished run that MLflow does not have as a whole, as where driver or store were lost at its end."""
    if config.tracking is not None:
        state = read_state(config.output, config.tracking, identity)
        if state is None or state.status != FINISHED:
            with tracked(config, identity):
                pass
