"""What MLflow is told of a search: a run for it, and below that one for every trial with its recipe and metrics."""

import json
from pathlib import Path

import polars as pl
from mlflow.entities import Run

from training.recipe import PROGRESS_FILE, TrackingSettings
from training.tasks.recipes.union import TrainConfig, load_recipe
from training.tracking.mlflow_run import SOURCE_TAG, RunEntry, open_run, recipe_of, tags_of
from training.tracking.state import FAILED, FINISHED, KILLED, RUNNING, close_state
from tuning.recipe import TuneConfig
from tuning.results import RESULT_FILE

PARENT_TAG = "mlflow.parentRunId"  # by which MLflow shows runs below another
# Of trials, in MLflow's words.
STATUSES = {
    "completed": FINISHED,
    "stopped": FINISHED,
    "cut": KILLED,
    "failed": FAILED,
}
MOST_RUNS = 50_000  # that MLflow gives at once; a search killed often has more of them than trials, see `_end_trials`
RESULTS = ("config.yaml", "best.yaml", "trials.parquet", "search.png", RESULT_FILE)


class SearchEntry:
    """The folder of a search, and those of its trials below it, as runs of MLflow."""

    def __init__(
        self, config: TuneConfig, trial: TrainConfig, tracking: TrackingSettings, identity: str
    ) -> None:
        self.config = config
        self.trial = trial
        self.tracking = tracking
        self.identity = identity
        self.search: RunEntry | None = None
        self.trials: dict[str, RunEntry] = {}
        self.known: dict[str, Run] = {}  # trials that MLflow had when it was asked

    def enter(self, status: str) -> None:
        """Copy what is new of every trial; with a final status also what the search came to."""
        # After a failure MLflow is asked again what it has.
        search = self.search or self._open()
        self.search = None
        # A recipe may be half written while trials run.
        begun = PROGRESS_FILE if status == RUNNING else "config.yaml"
        for path in sorted((self.config.output / "trials").glob(f"*/{begun}")):
            self._trial(search, path.parent).copy_progress(path.parent / PROGRESS_FILE)
        self.search = search
        if status == RUNNING:
            return
        self._end_trials(status)
        if status == FINISHED:
            best = json.loads((self.config.output / RESULT_FILE).read_text())["best"]
            search.log_lines([best["metrics"] | {"step": best["steps"]}])
            search.client.set_tag(search.info.run_id, "best_trial", best["trial_id"])
        search.end(status, [self.config.output / name for name in RESULTS])
        close_state(self.config.output, status)

    def _open(self) -> RunEntry:
        tags = {SOURCE_TAG: "tuning.run"} | tags_of(self.trial)
        search = open_run(self.config.output, self.tracking, self.identity, tags)
        search.log_recipe(self.config.model_dump(mode="json"))
        client = search.client
        info = search.info
        below = client.search_runs(
            [info.experiment_id], f"tags.`{PARENT_TAG}` = '{info.run_id}'", max_results=MOST_RUNS
        )
        self.trials = {}
        self.known = {run.data.tags["trial"]: run for run in below}
        return search

    def _trial(self, search: RunEntry, folder: Path) -> RunEntry:
        name = folder.name
        if name not in self.trials:
            tags = {
                SOURCE_TAG: "tuning.run",
                PARENT_TAG: search.info.run_id,
                "trial": name,
            } | tags_of(self.trial)
            run = self.known.get(name) or search.client.create_run(
                search.info.experiment_id, tags=tags, run_name=name
            )
            entry = RunEntry(search.client, run)
            entry.log_recipe(recipe_of(load_recipe(folder / "config.yaml")))
            self.trials[name] = entry
        return self.trials[name]

    def _end_trials(self, status: str) -> None:
        """Each trial ends as the search's table says; without one, as the search itself."""
        table = self.config.output / "trials.parquet"
        found = (
            dict(pl.read_parquet(table, columns=["trial_id", "status"]).iter_rows())
            if table.exists()
            else {}
        )
        # A killed search may forget a trial that had just begun.
        otherwise = KILLED if found else status
        for name, trial in self.trials.items():
            if name in found:
                trial.client.set_tag(trial.info.run_id, "status", found[name])
            trial.end(STATUSES[found[name]] if name in found else otherwise, [])
