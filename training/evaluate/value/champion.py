"""Judging the value models: metrics on the test customers, who is champion, which differences are real."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from lifecycle.metrics.value import (
    Metrics,
    bootstrap,
    bootstrap_draws,
    difference_of_draws,
    percentile_interval,
    value_metrics,
)
from lifecycle.names import STACK, STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA
from lifecycle.spend.support import value_model_rules
from lifecycle.value.intervals import bounds, fit_intervals
from training.evaluate.value.forecasts import Forecast, Judged
from training.evaluate.value.stack import is_clearly_better
from training.evaluate.value.windows import ExampleSets, target_of

logger = logging.getLogger(__name__)
BIAS_RANGE = (0.9, 1.1)
CI_LEVEL = 0.95
PAIRED_LEVEL = 0.9
NOTHING: Mapping[str, str] = {}
COMPARED = ("mae", "rmse", "gini", "spearman")
NUMBERS = ("predicted", "low_80", "high_80", "low_95", "high_95", "actual", "actual_net")
PREDICTIONS_SCHEMA = {"customer_id": pl.String, "model": pl.String} | dict.fromkeys(
    NUMBERS, pl.Float64
)


def judge(
    forecasts: Mapping[str, Forecast], sets: ExampleSets, num_resamples: int, seed: int
) -> dict[str, Judged]:
    """Every forecast with its intervals, calibrated on selection, and its metrics on the test customers."""
    actual_selection = target_of(sets.selection)
    actual = target_of(sets.test)
    judged: dict[str, Judged] = {}
    for name, forecast in forecasts.items():
        intervals = fit_intervals(forecast.selection, actual_selection)
        limits = bounds(intervals, forecast.test)
        draws = bootstrap_draws(
            actual, forecast.test, limits, num_resamples=num_resamples, seed=seed
        )
        metrics: dict[str, object] = {
            **value_metrics(actual, forecast.test, limits),
            "customers_per_second": forecast.customers_per_second,
            "ci": {
                metric: _ends(percentile_interval(of, CI_LEVEL)) for metric, of in draws.items()
            },
        }
        judged[name] = Judged(forecast, intervals, metrics, draws)
        logger.info("%s: %s", name, _line(metrics))
    return judged


def _ends(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def differences(
    judged: Mapping[str, Judged], name: str, other: str
) -> dict[str, list[float] | None]:
    """Of each of COMPARED: that of one model minus that of another, and the ends of its paired interval.

    None where a metric is undefined.
    """
    ours = judged[name]
    theirs = judged[other]
    result: dict[str, list[float] | None] = {}
    for metric in COMPARED:
        found = difference_of_draws(
            _number(ours.metrics[metric]),
            _number(theirs.metrics[metric]),
            ours.draws[metric],
            theirs.draws[metric],
            PAIRED_LEVEL,
        )
        result[metric] = None if found is None else list(found)
    return result


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _line(metrics: Mapping[str, object]) -> str:
    shown = ("mae", "rmse", "gini", "spearman", "bias", "coverage_80")
    known = {name: metrics[name] for name in shown if isinstance(metrics.get(name), float)}
    return ", ".join(f"{name} {value:.3f}" for name, value in known.items())


def unsupported_models(sets: ExampleSets, first_event_at: datetime) -> dict[str, str]:
    """The models for which the customers known at the latest training cutoff are too few, and why."""
    rows = sets.for_test.train.filter(pl.col("cutoff") == pl.col("cutoff").max())
    num_repeat = rows.filter(pl.col("num_order_days") > 1).height
    days = (rows["cutoff"][0] - first_event_at).days
    told: dict[str, str] = {}
    for name, (holds, reason) in value_model_rules(rows.height, num_repeat, days).items():
        if not holds:
            told[name] = f"{reason} before the latest training cutoff"
    if STACK in told:
        told |= dict.fromkeys((STACK_WITHOUT_LLAMA, STACK_OVER_BUDGET), told[STACK])
    return told


def choose_champion(
    forecasts: Mapping[str, Forecast],
    sets: ExampleSets,
    budget: float | None,
    num_resamples: int,
    seed: int,
    unsupported: Mapping[str, str] = NOTHING,
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
        name
        for name, one in forecasts.items()
        if budget is None or one.customers_per_second >= budget
    ]
    if not fast:
        raise ValueError(f"no model reaches score_budget_customers_per_second {budget}")
    left_out = {name: unsupported[name] for name in forecasts if name in unsupported}
    eligible = [name for name in fast if name not in left_out] or fast
    selection = _on_selection(forecasts, sets, num_resamples, seed)
    backtest = None
    if sets.backtest is not None:
        backtest = _in_backtest(forecasts, sets.backtest, num_resamples, seed)
    decides = selection
    if backtest is not None and any(name in backtest.rows for name in eligible):
        decides = backtest
    names = [name for name in eligible if name in decides.rows]
    shared = decides.shared_bias()
    champion, better = decides.best(decides.candidates(names, shared))
    low, high = BIAS_RANGE
    return champion, {
        "rule": f"the stack, unless others' squared errors {decides.where} are clearly (90 %) lower, "
        f"then least RMSE; among models whose bias there, over {shared:.3f} which all share, "
        f"may lie in {low}-{high} (95 % interval)",
        "clearly_better": better,  # than the stack, of those that might be chosen; None without one
        "num_customers": len(decides.actual),
        "shared_bias": shared,
        "unsupported": left_out,
        "any_fair": any(decides.rows[name].is_fair(shared) for name in names),
        "models": selection.as_json(),
        "backtest": None if backtest is None else backtest.as_json() or None,
    }


@dataclass(frozen=True)
class Row:
    """One model's metrics on a window, and the 95 % interval of its bias."""

    metrics: Metrics
    bias_interval: tuple[float, float] | None

    def is_fair(self, shared: float) -> bool:
        """Whether its bias, over that which all share, may lie in BIAS_RANGE."""
        if self.bias_interval is None:
            return False
        low, high = self.bias_interval
        return high >= shared * BIAS_RANGE[0] and low <= shared * BIAS_RANGE[1]


@dataclass(frozen=True)
class Comparison:
    """Models on the same customers of one window before the test cutoff."""

    where: str  # as the rule tells it
    actual: np.ndarray
    predicted: dict[str, np.ndarray]
    rows: dict[str, Row]

    def as_json(self) -> dict[str, object]:
        """As metrics.json has it: by model, its metrics and `bias_interval`."""
        return {
            name: {**row.metrics, "bias_interval": row.bias_interval}
            for name, row in self.rows.items()
        }

    def shared_bias(self) -> float:
        """The median bias of three models or more, the stack counted once.

        1 where fewer cannot tell model and season.
        """
        again = {STACK_OVER_BUDGET}
        if STACK in self.rows:
            again.add(STACK_WITHOUT_LLAMA)
        biases = [self._bias(name) for name in self.rows if name not in again]
        known = [bias for bias in biases if bias]
        return float(np.median(known)) if len(known) >= 3 else 1.0

    def candidates(self, names: list[str], shared: float) -> list[str]:
        """Those of fair bias, else the fairest, else all."""
        fair = [name for name in names if self.rows[name].is_fair(shared)]
        distances = {}
        for name in names:
            bias = self._bias(name)
            if bias is not None:  # which it is where nobody spent anything
                distances[name] = abs(bias / shared - 1.0)
        fairest = sorted(distances, key=lambda name: distances[name])[:1]
        return fair or fairest or names

    def best(self, names: list[str]) -> tuple[str, list[str] | None]:
        """Which is chosen, and which are clearly better than the stack among them; None without one."""
        stack = next((name for name in (STACK, STACK_WITHOUT_LLAMA) if name in names), None)
        better = None
        if stack is not None:
            theirs = self.predicted[stack]
            better = [
                name
                for name in names
                if is_clearly_better(self.predicted[name], theirs, self.actual)
            ]
            names = better or [stack]
        return min(names, key=self._error), better

    def _bias(self, name: str) -> float | None:
        return self.rows[name].metrics["bias"]

    def _error(self, name: str) -> tuple[float, float]:
        metrics = self.rows[name].metrics
        return metrics["rmse"] or 0.0, metrics["decile_mape"] or 0.0


def _on_selection(
    forecasts: Mapping[str, Forecast], sets: ExampleSets, num_resamples: int, seed: int
) -> Comparison:
    predicted = {name: one.selection for name, one in forecasts.items()}
    actual = target_of(sets.selection)
    rows = _rows(predicted, actual, num_resamples, seed)
    return Comparison("on the selection customers", actual, predicted, rows)


def _in_backtest(
    forecasts: Mapping[str, Forecast], backtest: ExampleSets, num_resamples: int, seed: int
) -> Comparison:
    predicted = {name: one.backtest for name, one in forecasts.items() if one.backtest is not None}
    actual = target_of(backtest.test)
    cutoff = backtest.test["cutoff"][0].date()
    where = f"in the backtest at {cutoff} over {backtest.horizon_days} days"
    return Comparison(where, actual, predicted, _rows(predicted, actual, num_resamples, seed))


def _rows(
    predicted: dict[str, np.ndarray], actual: np.ndarray, num_resamples: int, seed: int
) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for name, values in predicted.items():
        intervals = bootstrap(actual, values, num_resamples=num_resamples, seed=seed)
        rows[name] = Row(value_metrics(actual, values), intervals["bias"])
    return rows


def predictions_frame(judged: Mapping[str, Judged], sets: ExampleSets) -> pl.DataFrame:
    """predictions.parquet: one row per test customer and model."""
    frames = []
    for name, one in judged.items():
        columns = {"predicted": one.forecast.test}
        for level, (low, high) in bounds(one.intervals, one.forecast.test).items():
            columns |= {f"low_{100 * level:.0f}": low, f"high_{100 * level:.0f}": high}
        frames.append(
            sets.test.select(
                "customer_id",
                pl.lit(name).alias("model"),
                *(pl.Series(column, values) for column, values in columns.items()),
                pl.col("target").alias("actual"),
                "actual_net",
            )
        )
    return pl.concat(frames).select(list(PREDICTIONS_SCHEMA))
