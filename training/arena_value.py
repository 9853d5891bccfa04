"""The value arena: every model predicts selection and test customers; the best on selection becomes champion."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from lightgbm import Booster

from lifecycle.metrics import bootstrap, bootstrap_draws, percentile_interval, value_metrics
from lifecycle.value import BTYD_MODELS
from lifecycle.value.baselines import (
    Btyd,
    btyd_value,
    fit_btyd,
    fit_lightgbm,
    lightgbm_value,
    persistence,
)
from lifecycle.value.intervals import Intervals, bounds, fit_intervals
from lifecycle.value.stack import BGNBD, STACK, Stack, apply_trees, fit_trees, stack_value

logger = logging.getLogger(__name__)
BIAS_RANGE = (0.9, 1.1)
CI_LEVEL, PAIRED_LEVEL = 0.95, 0.9
COMPARED = ("mae", "rmse", "gini", "spearman")
NUMBERS = ("predicted", "low_80", "high_80", "low_95", "high_95", "actual", "actual_net")
PREDICTIONS_SCHEMA = {"customer_id": pl.String, "model": pl.String} | dict.fromkeys(NUMBERS, pl.Float64)
Predict = Callable[[pl.DataFrame], np.ndarray]  # rows of examples to expected spend, shape (n,)


@dataclass(frozen=True)
class ExampleSets:
    """The rows of the examples folder, and what was predicted from."""

    train: pl.DataFrame
    selection: pl.DataFrame
    test: pl.DataFrame
    horizon_days: int

    @property
    def train_and_selection(self) -> pl.DataFrame:
        """All rows whose outcome ends before the test cutoff."""
        return pl.concat([self.train, self.selection])


@dataclass
class Entry:
    """One model in the arena: expected spend of selection and test customers, and its speed."""

    selection: np.ndarray
    test: np.ndarray
    customers_per_second: float
    intervals: Intervals | None = None
    metrics: dict[str, object] = field(default_factory=dict)
    draws: dict[str, np.ndarray] = field(default_factory=dict)  # of each metric on resampled test customers


@dataclass(frozen=True)
class Fitted:
    """The cheap models as the artifact keeps them."""

    btyd_models: dict[str, Btyd]  # empty: too few customers have bought again
    trees: Booster | None  # None: not asked for
    stack: Stack | None = None  # likewise


def read_example_sets(examples: Path, horizon_days: int) -> ExampleSets:
    """Train rows, those of the one or two selection windows, and test rows."""
    train, test = (pl.read_parquet(examples / f"{part}.parquet") for part in ("train", "test"))
    windows = [examples / f"{part}.parquet" for part in ("selection", "val")]
    selection = pl.concat([pl.read_parquet(path) for path in windows if path.exists()])
    return ExampleSets(train, selection, test, horizon_days)


def cheap_entries(sets: ExampleSets, models: tuple[str, ...], seed: int) -> tuple[dict[str, Entry], Fitted]:
    """The models that fit in seconds.

    For the selection window they are fitted without its customers, for the test window on all earlier rows. BTYD is
    fitted in any case: it says how the champion's total is spread over periods.
    """
    horizon = sets.horizon_days
    entries: dict[str, Entry] = {}
    if "persistence" in models:
        entries["persistence"] = _entry(persistence, persistence, sets)
    wanted = [name for name in BTYD_MODELS if name in models]
    needed = [name for name in BTYD_MODELS if name in wanted or (name == BGNBD and STACK in models)]
    now, trees = _fit_btyd(sets.test, needed or BTYD_MODELS[:1]), None
    earlier = _fit_btyd(sets.train.filter(pl.col("cutoff") == pl.col("cutoff").max()), wanted) if now and wanted else {}
    for name in earlier:
        on_selection, on_test = (partial(btyd_value, fits[name], horizon_days=horizon) for fits in (earlier, now))
        entries[name] = _entry(on_selection, on_test, sets)
    if "lightgbm" in models and sets.train["target"].sum() > 0:
        without, trees = fit_lightgbm(sets.train, seed=seed), fit_lightgbm(sets.train_and_selection, seed=seed)
        entries["lightgbm"] = _entry(
            lambda rows: lightgbm_value(without, rows), lambda rows: lightgbm_value(trees, rows), sets
        )
    stack = None
    if STACK in models and sets.train["target"].sum() > 0:
        entries[STACK], stack = _stack_entry(sets, seed)
    if trees is None and stack is None and {"lightgbm", STACK} & set(models):
        logger.warning("lightgbm and stack are left out: no training row spends anything")
    return entries, Fitted(now, trees, stack)


def _stack_entry(sets: ExampleSets, seed: int) -> tuple[Entry, Stack]:
    """The stack as the others are judged, and as it is served."""
    horizon, latest = sets.horizon_days, sets.train.filter(pl.col("cutoff") == pl.col("cutoff").max())
    without = apply_trees(fit_trees(sets.train, horizon, seed=seed), latest, horizon)
    stack = apply_trees(fit_trees(sets.train_and_selection, horizon, seed=seed), sets.test, horizon)
    return _entry(lambda rows: stack_value(without, rows), lambda rows: stack_value(stack, rows), sets), stack


def _entry(on_selection: Predict, on_test: Predict, sets: ExampleSets) -> Entry:
    selection = on_selection(sets.selection)
    on_test(sets.test.head(1))  # what happens once only, such as starting threads, is not speed
    started_at = time.perf_counter()
    test = on_test(sets.test)
    return Entry(selection, test, sets.test.height / max(time.perf_counter() - started_at, 1e-9))


def _fit_btyd(rows: pl.DataFrame, names: Sequence[str]) -> dict[str, Btyd]:
    try:
        models = fit_btyd(rows, names)
    except ValueError as error:
        logger.warning("left out: %s, since %s", ", ".join(names), error)
        return {}
    for name, model in models.items():
        for report in (model.purchases.report, model.values.report):
            if not report.converged:
                logger.warning("%s: %s", name, report.message)
    return models


def judge(entries: dict[str, Entry], sets: ExampleSets, num_resamples: int, seed: int) -> None:
    """Fill in each entry's intervals (calibrated on selection) and its metrics on the test customers."""
    actual_selection, actual = target_of(sets.selection), target_of(sets.test)
    for name, entry in entries.items():
        entry.intervals = fit_intervals(entry.selection, actual_selection)
        limits = bounds(entry.intervals, entry.test)
        entry.draws = bootstrap_draws(actual, entry.test, limits, num_resamples=num_resamples, seed=seed)
        ci = {metric: percentile_interval(draws, CI_LEVEL) for metric, draws in entry.draws.items()}
        entry.metrics = {
            **value_metrics(actual, entry.test, limits),
            "customers_per_second": entry.customers_per_second,
            "ci": {metric: list(interval) if interval else None for metric, interval in ci.items()},
        }
        logger.info("%s: %s", name, _line(entry.metrics))


def differences(entries: dict[str, Entry], name: str, other: str) -> dict[str, list[float] | None]:
    """Of each of COMPARED: that of one model minus that of another, and the ends of its paired interval.

    None where a metric is undefined.
    """
    ours, theirs = entries[name], entries[other]
    result: dict[str, list[float] | None] = {}
    for metric in COMPARED:
        a, b = ours.metrics[metric], theirs.metrics[metric]
        interval = percentile_interval(ours.draws[metric] - theirs.draws[metric], PAIRED_LEVEL)
        if isinstance(a, float) and isinstance(b, float) and interval is not None:
            result[metric] = [a - b, *interval]
        else:
            result[metric] = None
    return result


def _line(metrics: dict[str, object]) -> str:
    shown = ("mae", "rmse", "gini", "spearman", "bias", "coverage_80")
    return ", ".join(f"{name} {metrics[name]:.3f}" for name in shown if isinstance(metrics.get(name), float))


def choose_champion(
    entries: dict[str, Entry], sets: ExampleSets, budget: float | None, num_resamples: int, seed: int
) -> tuple[str, dict[str, object]]:
    """The model of least RMSE on the selection customers among those of fair bias there and fast enough.

    A bias is fair unless its 95 % interval lies outside BIAS_RANGE: a few hundred customers do not tell 0.88 from 0.9.
    Ties go to the lower decile MAPE. Where no bias is fair, the fairest. Returns its name and the numbers compared.
    """
    actual = target_of(sets.selection)
    table: dict[str, dict[str, Any]] = {}
    for name, entry in entries.items():
        interval = bootstrap(actual, entry.selection, num_resamples=num_resamples, seed=seed)["bias"]
        table[name] = {**value_metrics(actual, entry.selection), "bias_interval": interval}
    fast = [name for name in entries if budget is None or entries[name].customers_per_second >= budget]
    if not fast:
        raise ValueError(f"no model reaches score_budget_customers_per_second {budget}")
    fair = [name for name in fast if _is_fair(table[name]["bias_interval"])]
    fairest = sorted(fast, key=lambda name: abs((table[name]["bias"] or 0.0) - 1.0))[:1]
    champion = min(fair or fairest, key=lambda name: (table[name]["rmse"] or 0.0, table[name]["decile_mape"] or 0.0))
    low, high = BIAS_RANGE
    return champion, {
        "rule": f"least RMSE on the selection customers among models whose bias there may lie in {low}-{high} "
        "(95 % interval)",
        "num_customers": sets.selection.height,
        "any_fair": bool(fair),
        "models": table,
    }


def _is_fair(interval: tuple[float, float] | None) -> bool:
    return interval is not None and interval[1] >= BIAS_RANGE[0] and interval[0] <= BIAS_RANGE[1]


def target_of(rows: pl.DataFrame) -> np.ndarray:
    """What the customers of some rows spent over the horizon, shape (n,)."""
    return rows["target"].to_numpy().astype(float)


def predictions_frame(entries: dict[str, Entry], sets: ExampleSets) -> pl.DataFrame:
    """predictions.parquet: one row per test customer and model."""
    frames = []
    for name, entry in entries.items():
        assert entry.intervals is not None
        limits = bounds(entry.intervals, entry.test)
        frames.append(
            sets.test.select(
                "customer_id",
                pl.lit(name).alias("model"),
                pl.Series("predicted", entry.test),
                *(
                    pl.Series(f"{side}_{round(100 * level)}", limits[level][index])
                    for level in (0.8, 0.95)
                    for index, side in enumerate(("low", "high"))
                ),
                pl.col("target").alias("actual"),
                "actual_net",
            )
        )
    return pl.concat(frames).select(list(PREDICTIONS_SCHEMA))
