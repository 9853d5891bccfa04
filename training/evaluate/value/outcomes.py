"""What models say customers may spend, and the customers on whom the intervals of each are calibrated.

Those are the customers of the backtest where the dates allow one over the whole horizon: it has all
of them, and shows what a horizon of time does to a model. What a model expects of them in all is
brought to what came: a season is no difference between customers. How far totals were off in the
windows before the test is a doubt about all of them, taken as known though one or two windows tell
little. Else they are the selection customers of the latest cutoff.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.btyd.model import btyd_churn
from lifecycle.spend.models import SpendModels
from lifecycle.value.outcomes import Outcomes, buyer_outcomes
from training.evaluate.value.cheap import Fits
from training.evaluate.value.forecasts import Forecast, Leaving, bias_of, spread_of_biases
from training.evaluate.value.stack import scale_to
from training.evaluate.value.windows import ExampleSets, target_of

MIN_LATEST = (
    400  # selection customers of the latest cutoff; where fewer, those of the earlier one help
)


@dataclass(frozen=True)
class Fitted:
    """Windows, the models as they were fitted for each, and what is said of leaving in each."""

    sets: ExampleSets
    fits: Fits
    leaving: (
        Leaving | None
    )  # by the model that serves; None: the model that spreads the value says it


@dataclass(frozen=True)
class Known:
    """Customers who calibrate intervals: where they are from, what a model says of them, what they spent."""

    window: str
    outcomes: Outcomes
    actual: np.ndarray
    doubt: float = 0.0  # standard deviation of the logarithm of their total


def outcomes_of_test(fitted: Fitted, name: str, forecast: Forecast) -> Outcomes:
    """Of the test customers, by what a model expects of them."""
    churn = None if fitted.leaving is None else fitted.leaving.test
    return _outcomes(fitted.fits.test, name, fitted.sets.test, forecast.test, churn)


def known_outcomes(fitted: Fitted, name: str, forecast: Forecast) -> Known:
    """Of the customers who calibrate a model's intervals."""
    sets = fitted.sets.backtest
    fits = fitted.fits.backtest
    if sets is None or fits is None or forecast.backtest is None:
        return _of_selection(fitted, name, forecast)
    if sets.horizon_days != fitted.sets.horizon_days:
        return _of_selection(fitted, name, forecast)
    actual = target_of(sets.test)
    churn = None if fitted.leaving is None else fitted.leaving.backtest
    expected = forecast.backtest * scale_to(actual, forecast.backtest)
    outcomes = _outcomes(fits, name, sets.test, expected, churn)
    earlier = forecast.before_the_test(fitted.sets)
    doubt = spread_of_biases(bias_of(predicted, there) for _, there, predicted in earlier)
    return Known("backtest", outcomes, actual, doubt or 0.0)


def _of_selection(fitted: Fitted, name: str, forecast: Forecast) -> Known:
    rows = fitted.sets.selection
    is_latest = (rows["cutoff"] == rows["cutoff"].max()).to_numpy()
    if is_latest.sum() < MIN_LATEST:
        is_latest[:] = True
    churn = None if fitted.leaving is None else fitted.leaving.selection[is_latest]
    latest = rows.filter(pl.Series(is_latest))
    expected = forecast.selection[is_latest]
    outcomes = _outcomes(fitted.fits.selection, name, latest, expected, churn)
    return Known("selection", outcomes, target_of(latest))


def _outcomes(
    models: SpendModels,
    name: str,
    rows: pl.DataFrame,
    expected: np.ndarray,
    churn: np.ndarray | None,
) -> Outcomes:
    btyd = models.spreading(name)
    horizon = models.horizon_days
    if churn is None:
        churn = np.zeros(rows.height) if btyd is None else btyd_churn(btyd, rows, horizon)
    return buyer_outcomes(rows, btyd, expected, churn, horizon)
