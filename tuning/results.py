"""What a search leaves: a table of its trials, the best training recipe, and a picture."""

import json
import logging
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from lifecycle.config import Tree
from lifecycle.folders import Manifest, Stored, write_json
from training.tasks.recipes.union import TrainConfig
from tuning.recipe import TuneConfig
from tuning.space import Range, recipe_with

logger = logging.getLogger(__name__)
METRICS = ("val_loss", "val_rmse", "val_ndcg", "val_hr")
RESULT_FILE = "search.json"


@dataclass(frozen=True)
class TrialResult:
    """One trial. Status: completed, stopped (by ASHA), cut (by the budget of minutes) or failed."""

    trial_id: str
    status: str
    values: Tree  # by dotted key of the space
    metrics: dict[str, float]  # at the last checkpoint; empty where there was none
    step: int
    num_steps: int | None  # None where it failed before it began
    seconds: float
    error: str


class BestTrial(Stored):
    """The trial whose recipe is best.yaml."""

    trial_id: str
    values: dict[str, JsonValue]
    metrics: dict[str, float]
    steps: int


class SearchResult(Stored):
    """search.json: with it the search is over."""

    best: BestTrial
    trials: dict[str, int]  # by status
    cut_by_minutes: bool


class SearchManifest(Manifest):
    """The manifest of a search: what search.json says."""

    best: BestTrial
    trials: dict[str, int]
    cut_by_minutes: bool


def write_results(config: TuneConfig, base: TrainConfig, trials: list[TrialResult]) -> None:
    """Write trials.parquet, best.yaml, search.png, and search.json last: with it the search is over."""
    best = best_trial(config, trials)
    trial_table(config, trials).write_parquet(config.output / "trials.parquet")
    recipe_with(base, best.values).save(config.output / "best.yaml")
    plot_search(config, trials, best, config.output / "search.png")
    counts = {
        status: sum(trial.status == status for trial in trials)
        for status in sorted({t.status for t in trials})
    }
    was_cut = "cut" in counts or len(trials) < config.num_trials
    if was_cut:
        logger.warning(
            "%g minutes were over after %d of %d trials",
            config.minutes,
            len(trials),
            config.num_trials,
        )
    logger.info(
        "best of %s: %s with %s = %.4g after %d steps, %s",
        counts,
        best.trial_id,
        config.metric,
        best.metrics[config.metric],
        best.step,
        best.values,
    )
    content = {
        "best": {
            "trial_id": best.trial_id,
            "values": best.values,
            "metrics": best.metrics,
            "steps": best.step,
        },
        "trials": counts,
        "cut_by_minutes": was_cut,
    }
    write_json(config.output / RESULT_FILE, content)


def remove_state(output: Path) -> None:
    """Remove what only resumption needs: Ray Tune's state, checkpoints of trials."""
    for state in [output / "ray", *output.glob("trials/*/ray")]:
        shutil.rmtree(state, ignore_errors=True)


def best_trial(config: TuneConfig, trials: list[TrialResult]) -> TrialResult:
    """The best of the completed trials; where none is complete, of those that came furthest.

    Values of unequal numbers of steps are not compared. Raises ValueError where no trial reported a
    finite value.
    """
    measured = [
        trial for trial in trials if math.isfinite(trial.metrics.get(config.metric, math.nan))
    ]
    if not measured:
        errors = sorted({trial.error for trial in trials if trial.error})
        raise ValueError(
            f"none of {len(trials)} trials reported {config.metric} within {config.minutes:g} minutes; raise minutes "
            f"or shorten the trials with overrides.max_steps{': ' if errors else ''}{'; '.join(errors)}"
        )
    completed = [trial for trial in measured if trial.status == "completed"]
    furthest = max(trial.step for trial in measured)
    candidates = completed or [trial for trial in measured if trial.step == furthest]
    sign = 1 if config.mode == "min" else -1
    return min(candidates, key=lambda trial: sign * trial.metrics[config.metric])


def trial_table(config: TuneConfig, trials: list[TrialResult]) -> pl.DataFrame:
    """One row per trial in the order of proposal; values that are not scalars as JSON."""
    columns: dict[str, list[object]] = {
        "trial_id": [trial.trial_id for trial in trials],
        "status": [trial.status for trial in trials],
    }
    for dotted in config.space:
        columns[dotted] = [_scalar(trial.values[dotted]) for trial in trials]
    for name in METRICS:
        columns[name] = [trial.metrics.get(name) for trial in trials]
    columns |= {
        "steps": [trial.step for trial in trials],
        "planned_steps": [trial.num_steps for trial in trials],
        "seconds": [trial.seconds for trial in trials],
        "error": [trial.error or None for trial in trials],
    }
    floats = {name: pl.Float64 for name in METRICS} | {"error": pl.String}
    return pl.DataFrame(columns, schema_overrides=floats, strict=False)


def _scalar(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


def plot_search(
    config: TuneConfig, trials: list[TrialResult], best: TrialResult, path: Path
) -> None:
    """The metric of every trial by step, and its last value by each searched key; the best trial in colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * (1 + len(config.space)), 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(config.space), squeeze=False, sharey=True)[0]
    for trial in sorted(trials, key=lambda trial: trial is best):  # the best is drawn last, on top
        color = "tab:red" if trial is best else "0.6"
        marker = "o" if trial.status == "completed" else "x"
        steps = checkpoint_values(config, trial)
        axes[0].plot(
            [step for step, _ in steps], [value for _, value in steps], color=color, marker=marker
        )
        for axis, dotted in zip(axes[1:], config.space, strict=True):
            value = trial.values[dotted]
            if config.metric in trial.metrics:
                shown = value if is_number_range(config.space[dotted]) else json.dumps(value)
                axis.plot([shown], [trial.metrics[config.metric]], color=color, marker=marker)
    axes[0].set(
        xlabel="step",
        ylabel=f"{config.metric} on the validation sample",
        title=f"best: {best.trial_id}",
    )
    for axis, (dotted, values) in zip(axes[1:], config.space.items(), strict=True):
        axis.set(xlabel=dotted, xscale="log" if values.loguniform else axis.get_xscale())
    figure.suptitle("o completed, x stopped early, cut or failed", fontsize=9)
    figure.savefig(path, dpi=110)


def is_number_range(values: Range) -> bool:
    """Whether a searched key has a numeric axis."""
    return values.choice is None or all(isinstance(value, int | float) for value in values.choice)


def checkpoint_values(config: TuneConfig, trial: TrialResult) -> list[tuple[int, float]]:
    """(step, metric) at every checkpoint of a trial, from its progress file."""
    path = config.output / "trials" / trial.trial_id / "progress.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(line["step"], line[config.metric]) for line in lines if config.metric in line]
