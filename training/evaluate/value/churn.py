"""Churn in the arena: how well models tell who will buy nothing, and which of them is served."""

import logging
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import polars as pl

from lifecycle.metrics.churn import brier_interval, churn_calibration, churn_metrics
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets
from training.results.value import Churn, ChurnMetrics

logger = logging.getLogger(__name__)
CI_LEVEL = 0.95


def judge_churn(
    forecasts: Mapping[str, Forecast], sets: ExampleSets, num_resamples: int, seed: int
) -> tuple[str | None, Churn | None]:
    """The model of least Brier score before the test cutoff, and how all fare on the test customers.

    Compared in the backtest where there is one, else on the selection customers. None where no
    model says anything of churn.
    """
    leaving = {name: one.leaving for name, one in forecasts.items() if one.leaving is not None}
    if not leaving:
        return None, None
    window = "on the selection customers"
    before = _left(sets.selection)
    earlier = {name: found.selection for name, found in leaving.items()}
    tested = {name: found.backtest for name, found in leaving.items() if found.backtest is not None}
    if sets.backtest is not None and tested:
        window = "in the backtest"
        before = _left(sets.backtest.test)
        earlier = tested
    compared = {
        name: churn_metrics(before, probability)["brier"] for name, probability in earlier.items()
    }
    chosen = min(compared, key=lambda name: compared[name] or 0.0)
    left = _left(sets.test)
    models: dict[str, ChurnMetrics] = {}
    for name, found in leaving.items():
        interval = brier_interval(
            left, found.test, num_resamples=num_resamples, seed=seed, level=CI_LEVEL
        )
        models[name] = ChurnMetrics.model_validate(
            {
                **churn_metrics(left, found.test),
                "ci": {"brier": interval},
                "calibration": asdict(churn_calibration(left, found.test)),
            }
        )
    logger.info("churn: %s, Brier score %.4f", chosen, models[chosen].brier)
    return chosen, Churn(
        model=chosen,
        rule=f"least Brier score {window}",
        share_left=float(left.mean()),
        models=models,
        compared=compared,
    )


def _left(rows: pl.DataFrame) -> np.ndarray:
    """Who bought nothing within the horizon, booleans (n,)."""
    return (rows["num_orders_ahead"] == 0).to_numpy()
