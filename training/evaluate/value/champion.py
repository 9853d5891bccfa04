"""Judging the value models: metrics on the test customers, who is champion, which differences are real."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from lifecycle.metrics.value import (
    bootstrap,
    bootstrap_draws,
    difference_of_draws,
    percentile_interval,
    value_metrics,
)
from lifecycle.names import STACK, STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA
from lifecycle.spend.support import value_model_rules
from lifecycle.value.intervals import bounds, fit_intervals
from training.evaluate.value.entries import Entry
from training.evaluate.value.stack import is_clearly_better
from training.evaluate.value.windows import ExampleSets, target_of

logger = logging.getLogger(__name__)
BIAS_RANGE = (0.9, 1.1)
CI_LEVEL, PAIRED_LEVEL = 0.95, 0.9
COMPARED = ("mae", "rmse", "gini", "spearman")
NUMBERS = ("predicted", "low_80", "high_80", "low_95", "high_95", "actual", "actual_net")
PREDICTIONS_SCHEMA = {"customer_id": pl.String, "model": pl.String} | dict.fromkeys(
    NUMBERS, pl.Float64
)


def judge(entries: dict[str, Entry], sets: ExampleSets, num_resamples: int, seed: int) -> None:
    """Fill in each entry's intervals (calibrated on selection) and its metrics on the test customers."""
    actual_selection, actual = target_of(sets.selection), target_of(sets.test)
    for name, entry in entries.items():
        entry.intervals = fit_intervals(entry.selection, actual_selection)
        limits = bounds(entry.intervals, entry.test)
        entry.draws = bootstrap_draws(
            actual, entry.test, limits, num_resamples=num_resamples, seed=seed
        )
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
        estimates: list[Any] = [entry.metrics[metric] for entry in (ours, theirs)]
        a, b = ours.draws[metric], theirs.draws[metric]
        found = difference_of_draws(estimates[0], estimates[1], a, b, PAIRED_LEVEL)
        result[metric] = None if found is None else list(found)
    return result


def _line(metrics: dict[str, object]) -> str:
    shown = ("mae", "rmse", "gini", "spearman", "bias", "coverage_80")
    return ", ".join(
        f"{name} {metrics[name]:.3f}" for name in shown if isinstance(metrics.get(name), float)
    )


def unsupported_models(sets: ExampleSets, first_event_at: datetime) -> dict[str, str]:
    """The models for which the customers known at the latest training cutoff are too few, and why."""
    rows = sets.for_test.train.filter(pl.col("cutoff") == pl.col("cutoff").max())
    repeat, days = (
        rows.filter(pl.col("num_order_days") > 1).height,
        (rows["cutoff"][0] - first_event_at).days,
    )
    rules = value_model_rules(rows.height, repeat, days)
    told = {
        name: f"{reason} before the latest training cutoff"
        for name, (holds, reason) in rules.items()
        if not holds
    }
    return told | {
        name: told[STACK] for name in (STACK_WITHOUT_LLAMA, STACK_OVER_BUDGET) if STACK in told
    }


def choose_champion(
    entries: dict[str, Entry],
    sets: ExampleSets,
    budget: float | None,
    num_resamples: int,
    seed: int,
    unsupported: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, object]]:
    """The stack, or the best of the models that are clearly better, by windows before the test cutoff.

    All are of fair bias and fast enough; without a stack it is the model of least RMSE. One window
    cannot tell models of nearly the same error apart: in shops with a few very large customers it
    is one of these that decides, and a blend is the least likely to be wrong.

    `unsupported` has models for which the data are too few, and why: they are chosen where there is
    no other.

    Models are compared in the backtest, by what they predict at an earlier test cutoff from what
    was known there: that shows what time does to them. A model that was not there is judged, not
    chosen: on the selection customers, at the same time as what it learned from, an encoder looked
    better than the stack that was far ahead of it one horizon later. Where the dates allow no
    backtest, all are compared on those customers.

    What all models are biased by is the season's doing, not theirs: each bias is divided by the
    median of all. It is fair unless its 95 % interval then lies outside BIAS_RANGE: a few hundred
    customers do not tell 0.88 from 0.9. Equal RMSE: the lower decile MAPE. Where no bias is fair,
    the fairest. Returns its name and the numbers compared.
    """
    fast = [
        name for name in entries if budget is None or entries[name].customers_per_second >= budget
    ]
    if not fast:
        raise ValueError(f"no model reaches score_budget_customers_per_second {budget}")
    left_out = {name: unsupported[name] for name in entries if unsupported and name in unsupported}
    eligible = [name for name in fast if name not in left_out] or fast
    names, window, actual = eligible, "on the selection customers", target_of(sets.selection)
    predicted = {name: entry.selection for name, entry in entries.items()}
    table = selection = _compared(predicted, actual, num_resamples, seed)
    backtest: dict[str, dict[str, Any]] = {}
    if sets.backtest is not None:
        before = {
            name: found for name, entry in entries.items() if (found := entry.backtest) is not None
        }
        outcome = target_of(sets.backtest.test)
        backtest = _compared(before, outcome, num_resamples, seed)
        if tested := [name for name in eligible if name in backtest]:
            names, predicted, actual, table = tested, before, outcome, backtest
            cutoff = sets.backtest.test["cutoff"][0].date()
            window = f"in the backtest at {cutoff} over {sets.backtest.horizon_days} days"
    low, high = BIAS_RANGE
    shared = _shared_bias(table)
    champion, clearly_better = _best(_candidates(names, table, shared), table, predicted, actual)
    return (
        champion,
        {
            "rule": f"the stack, unless others' squared errors {window} are clearly (90 %) lower, "
            f"then least RMSE; among models whose bias there, over {shared:.3f} which all share, "
            f"may lie in {low}-{high} (95 % interval)",
            "clearly_better": clearly_better,  # than the stack, of those that might be chosen; None without one
            "num_customers": len(actual),
            "shared_bias": shared,
            "unsupported": left_out,
            "any_fair": any(_is_fair(table[name]["bias_interval"], shared) for name in names),
            "models": selection,
            "backtest": backtest or None,
        },
    )


def _compared(
    predicted: dict[str, np.ndarray], actual: np.ndarray, num_resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """By model, its metrics and the interval of its bias."""
    table: dict[str, dict[str, Any]] = {}
    for name, values in predicted.items():
        interval = bootstrap(actual, values, num_resamples=num_resamples, seed=seed)["bias"]
        table[name] = {**value_metrics(actual, values), "bias_interval": interval}
    return table


def _shared_bias(table: dict[str, dict[str, Any]]) -> float:
    """The median bias of three models or more, the stack counted once; 1 where fewer cannot tell model and season."""
    again = {STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA} if STACK in table else {STACK_OVER_BUDGET}
    biases = [row["bias"] for name, row in table.items() if row["bias"] and name not in again]
    return float(np.median(biases)) if len(biases) >= 3 else 1.0


def _candidates(names: list[str], table: dict[str, dict[str, Any]], shared: float) -> list[str]:
    fair = [name for name in names if _is_fair(table[name]["bias_interval"], shared)]
    known = [
        name for name in names if table[name]["bias"] is not None
    ]  # none where nobody spent anything
    fairest = sorted(known, key=lambda name: abs(table[name]["bias"] / shared - 1.0))[:1]
    return fair or fairest or names


def _best(
    names: list[str],
    table: dict[str, dict[str, Any]],
    predicted: dict[str, np.ndarray],
    actual: np.ndarray,
) -> tuple[str, list[str] | None]:
    """Which of the names is chosen, and which are clearly better than the stack among them; None without one."""
    stack = next((name for name in (STACK, STACK_WITHOUT_LLAMA) if name in names), None)
    better = None
    if stack is not None:
        better = [
            name for name in names if is_clearly_better(predicted[name], predicted[stack], actual)
        ]
        names = better or [stack]
    return min(
        names, key=lambda name: (table[name]["rmse"] or 0.0, table[name]["decile_mape"] or 0.0)
    ), better


def _is_fair(interval: tuple[float, float] | None, shared: float) -> bool:
    return (
        interval is not None
        and interval[1] >= shared * BIAS_RANGE[0]
        and interval[0] <= shared * BIAS_RANGE[1]
    )


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
