"""Forecasts as they would be served: where a customer's standing decides, all models say the same."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.value.said import heeded_churn, heeded_spend
from training.evaluate.customers.standing import KnownStandings
from training.evaluate.value.forecasts import Forecast, Leaving
from training.evaluate.value.windows import ExampleSets


def heeded_forecasts(
    forecasts: Mapping[str, Forecast], sets: ExampleSets, known: KnownStandings
) -> dict[str, Forecast]:
    """By the rules known at the test cutoff, and in the backtest by those known there."""
    return {name: _heeded(one, sets, known) for name, one in forecasts.items()}


def _heeded(forecast: Forecast, sets: ExampleSets, known: KnownStandings) -> Forecast:
    rules = known.at_test
    earlier = known.in_backtest

    def spend(rows: pl.DataFrame, total: np.ndarray) -> np.ndarray:
        return heeded_spend(rules, rows, total, sets.horizon_days)

    backtest = forecast.backtest
    leaving = forecast.leaving
    left_before = None if leaving is None else leaving.backtest
    if sets.backtest is not None and earlier is not None:
        rows = sets.backtest.test
        if backtest is not None:
            backtest = heeded_spend(earlier, rows, backtest, sets.backtest.horizon_days)
        if left_before is not None:
            left_before = heeded_churn(earlier, rows, left_before)
    if leaving is not None:
        leaving = Leaving(
            selection=heeded_churn(rules, sets.selection, leaving.selection),
            test=heeded_churn(rules, sets.test, leaving.test),
            backtest=left_before,
        )
    return replace(
        forecast,
        selection=spend(sets.selection, forecast.selection),
        test=spend(sets.test, forecast.test),
        backtest=backtest,
        leaving=leaving,
    )
