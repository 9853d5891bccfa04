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
from training.evaluate.value.outcomes import Fitted, known_outcomes, outcomes_of_test
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import Differences, ModelMetrics

logger = logging.getLogger(__name__)
CI_LEVEL = 0.95
PAIRED_LEVEL = 0.9
COMPARED = ("mae", "rmse", "gini", "spearman")
NUMBERS = ("predicted", "low_80", "high_80", "low_95", "high_95", "actual", "actual_net")
PREDICTIONS_SCHEMA = {"customer_id": pl.String, "model": pl.String} | dict.fromkeys(
    NUMBERS, pl.Float64
)


def judge(
    forecasts: Mapping[str, Forecast], fitted: Fitted, num_resamples: int, seed: int
) -> dict[str, Judged]:
    """Every forecast with its intervals, and its metrics on the test customers."""
    actual = target_of(fitted.sets.test)
    judged: dict[str, Judged] = {}
    for name, forecast in forecasts.items():
        known = known_outcomes(fitted, name, forecast)
        intervals = fit_intervals(known.outcomes, known.actual, doubt=known.doubt)
        outcomes = outcomes_of_test(fitted, name, forecast)
        limits = bounds(intervals, outcomes)
        draws = bootstrap_draws(
            actual, forecast.test, limits, num_resamples=num_resamples, seed=seed
        )
        metrics = ModelMetrics.model_validate(
            {
                **value_metrics(actual, forecast.test, limits),
                "customers_per_second": forecast.customers_per_second,
                "ci": {key: percentile_interval(of, CI_LEVEL) for key, of in draws.items()},
            }
        )
        judged[name] = Judged(forecast, outcomes, intervals, known.window, metrics, draws)
        logger.info("%s: %s", name, _line(metrics))
    return judged


def differences(judged: Mapping[str, Judged], name: str, other: str) -> Differences:
    """Of each of COMPARED: that of one model minus that of another, and the ends of its paired interval.

    None where a metric is undefined.
    """
    ours = judged[name]
    theirs = judged[other]
    return {
        metric: difference_of_draws(
            getattr(ours.metrics, metric),
            getattr(theirs.metrics, metric),
            ours.draws[metric],
            theirs.draws[metric],
            PAIRED_LEVEL,
        )
        for metric in COMPARED
    }


def _line(metrics: ModelMetrics) -> str:
    shown = ("mae", "rmse", "gini", "spearman", "bias", "coverage_80")
    known = {name: getattr(metrics, name) for name in shown}
    return ", ".join(f"{name} {value:.3f}" for name, value in known.items() if value is not None)


def predictions_frame(judged: Mapping[str, Judged], sets: ExampleSets) -> pl.DataFrame:
    """predictions.parquet: one row per test customer and model."""
    frames = []
    for name, one in judged.items():
        columns = {"predicted": one.forecast.test}
        for level, (low, high) in bounds(one.intervals, one.outcomes).items():
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
