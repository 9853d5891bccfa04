"""What MLflow is told of a training run: parameters, metrics, files, and the member in its model registry."""

import json
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from lifecycle.config import Tree
from lifecycle.folders import read_manifest
from lifecycle.llama.member import MEMBER_KIND, NEXT_ITEM, MemberManifest
from training.recipe import PROGRESS_FILE, TrackingSettings
from training.tasks.identity import data_identity
from training.tasks.recipes.union import TrainConfig
from training.tracking.state import (
    FINISHED,
    RUNNING,
    SQLITE,
    TrackedRun,
    absolute_uri,
    close_state,
    read_state,
    write_state,
)

logger = logging.getLogger(__name__)
SOURCE_TAG = "mlflow.source.name"  # MLflow's own names of tags
NOT_METRICS = ("step", "eta_seconds", "seconds")  # of a line of progress
SHOWN_OF_MANIFEST = (
    "identity",
    "task",
    "encoder",
    "dataset",
    "horizon_days",
    "prompt_version",
    "sequence_version",
)


class RunEntry:
    """One run of MLflow, and how far a progress file has been copied into it."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self.client = client
        self.info = run.info
        self.bytes_read = 0
        self.last_steps = {
            name: max(metric.step for metric in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }

    def log_recipe(self, recipe: Mapping[str, object]) -> None:
        """Log a recipe by dotted keys. MLflow keeps the first value of a parameter, and so do we."""
        known = self.client.get_run(self.info.run_id).data.params
        params = [
            Param(name, value) for name, value in flattened(recipe).items() if name not in known
        ]
        self.client.log_batch(self.info.run_id, params=params)

    def copy_progress(self, path: Path) -> None:
        """Log the metrics of those whole lines of a progress file that are new."""
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(max(self.bytes_read - 1, 0))
            # A resumed run shortens its file, and lengthens it.
            is_same = self.bytes_read == 0 or file.read(1) == b"\n"
            start = self.bytes_read if is_same else file.seek(0)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.log_lines([json.loads(line) for line in whole.splitlines()])
        self.bytes_read = start + len(whole)

    def log_lines(self, lines: list[dict[str, float]]) -> None:
        """Log metrics with their steps, which only grow: what a resumed run repeats is passed over."""
        steps = dict(self.last_steps)
        metrics = list[Metric]()
        now = int(time.time() * 1000)
        for line in lines:
            step = int(line["step"])
            for name in line.keys() - NOT_METRICS:
                if step > steps.get(name, -1):
                    metrics.append(Metric(name, line[name], now, step))
                    steps[name] = step
        self.client.log_batch(self.info.run_id, metrics=metrics)
        self.last_steps = steps

    def end(self, status: str, files: list[Path]) -> None:
        """Log those files that there are as artifacts, and set the final status."""
        for path in files:
            if path.exists():
                self.client.log_artifact(self.info.run_id, str(path))
        self.client.set_terminated(self.info.run_id, status)


class TrainingEntry:
    """The folder of a training run as a run of MLflow."""

    def __init__(self, config: TrainConfig, tracking: TrackingSettings, identity: str) -> None:
        self.config = config
        self.tracking = tracking
        self.identity = identity
        self.entry: RunEntry | None = None

    def enter(self, status: str) -> None:
        """Copy what is new; with a final status also the files, and the member of a finished run."""
        # After a failure MLflow is asked again what it has.
        entry = self.entry or self._open()
        self.entry = None
        output = self.config.output
        entry.copy_progress(output / PROGRESS_FILE)
        self.entry = entry
        if status == RUNNING:
            return
        if status == FINISHED:
            register(entry, output / "member", self.tracking.model_name)
        entry.end(status, [output / "config.yaml", output / PROGRESS_FILE])
        close_state(output, status)

    def _open(self) -> RunEntry:
        tags = {SOURCE_TAG: "training.run"} | tags_of(self.config)
        entry = open_run(self.config.output, self.tracking, self.identity, tags)
        entry.log_recipe(recipe_of(self.config))
        return entry


def recipe_of(config: TrainConfig) -> Tree:
    """What MLflow shows as parameters."""
    return config.model_dump(mode="json", exclude={"tracking"})


def tags_of(config: TrainConfig) -> dict[str, str]:
    """What runs can be searched by besides their recipe."""
    return {"encoder": config.encoder, "task": config.task, "dataset": str(data_identity(config))}


def connect(tracking: TrackingSettings) -> MlflowClient:
    """A client of the store; a local one is made where there is none.

    Raises sqlite3.Error where a local file cannot be opened, which MLflow itself would try again
    for minutes.
    """
    uri = absolute_uri(tracking.uri)
    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE))
        if not path.exists():
            create_store(path)
        sqlite3.connect(path).close()
    return MlflowClient(uri, uri)


def create_store(path: Path) -> None:
    """Make the tables of a local store under another name, unless another job is first to finish that.

    MLflow makes them by dozens of migrations, and a store where a kill cut them short is of no use
    ever after.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    MlflowClient(
        SQLITE + str(temporary)
    ).search_experiments()  # the first question makes the tables
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()


def open_run(
    output: Path, tracking: TrackingSettings, identity: str, tags: dict[str, str]
) -> RunEntry:
    """The MLflow run of a job's folder, or a new one where it has none or that was deleted.

    It is found by a tag whose value the folder has before the run is made: a run that was made, but
    whose answer was lost, is not made again.
    """
    client = connect(tracking)
    known = read_state(output, tracking, identity)
    folder = uuid.uuid4().hex if known is None else known.folder
    state = TrackedRun(uri=absolute_uri(tracking.uri), identity=identity, folder=folder)
    write_state(output, state)
    experiment = experiment_id(client, tracking)
    found = client.search_runs([experiment], f"tags.folder = '{folder}'")
    tags = {"identity": identity, "folder": folder} | tags
    run = found[0] if found else client.create_run(experiment, tags=tags, run_name=str(output))
    client.update_run(run.info.run_id, RUNNING)
    write_state(output, state.model_copy(update={"run_id": run.info.run_id}))
    return RunEntry(client, run)


def experiment_id(client: MlflowClient, tracking: TrackingSettings) -> str:
    """The experiment's id; a new one is made. Artifacts of a local store lie beside its file."""
    found = client.get_experiment_by_name(tracking.experiment)
    if found is not None:
        return str(found.experiment_id)
    uri = absolute_uri(tracking.uri)
    is_local = uri.startswith(SQLITE)
    artifacts = (Path(uri.removeprefix(SQLITE)).parent / "artifacts").as_uri() if is_local else None
    return str(client.create_experiment(tracking.experiment, artifact_location=artifacts))


def flattened(tree: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """A recipe as dotted keys; values that are not text as JSON."""
    flat: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def register(entry: RunEntry, member: Path, model_name: str | None) -> None:
    """Upload a member and make it a version in the model registry, unless its run has one already."""
    client = entry.client
    run_id = entry.info.run_id
    if client.search_model_versions(f"run_id='{run_id}'"):
        return
    manifest = read_manifest(member, MEMBER_KIND, MemberManifest)
    ranks = "-next-item" if manifest.task == NEXT_ITEM else ""
    name = model_name or f"evervalue-{manifest.name}{ranks}"
    client.log_artifacts(run_id, str(member), "member")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{entry.info.artifact_uri}/member"
    version = client.create_model_version(name, source, run_id, tags=member_tags(manifest)).version
    logger.info("MLflow has run %s, and its member as %s, version %s", run_id, name, version)


def member_tags(manifest: MemberManifest) -> dict[str, str]:
    """What the registry shows of a member's manifest."""
    told = manifest.model_dump(mode="json", include=set(SHOWN_OF_MANIFEST), exclude_none=True)
    tags = {name: str(value) for name, value in told.items()}
    if manifest.base_model is not None:
        tags["base_model_sha256"] = manifest.base_model.sha256
    return tags
