"""Judging forecasts on the test customers: metrics with intervals, and which differences are real."""

import logging
from collections.abc import Mapping

import polars as pl

from lifecycle.metrics.value import (
    bootstrap_draws,
    difference_of_draws,
    percentile_interval,
    value_metrics,
)
from lifecycle.value.intervals import bounds, fit_intervals
from training.evaluate.value.forecasts import Forecast, Judged
from training.evaluate.value.windows import ExampleSets, target_of

logger = logging.getLogger(__name__)
CI_LEVEL = 0.95
PAIRED_LEVEL = 0.9
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
