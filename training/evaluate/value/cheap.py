"""The models that fit in seconds, each fitted for the test, for the selection and for the backtest customers."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lifecycle.btyd.model import Btyd
from lifecycle.names import HURDLE, LIGHTGBM, STACK, ZILN
from lifecycle.spend.models import SpendModels
from training.evaluate.value.forecasts import Forecast, Leaving
from training.evaluate.value.windows import ExampleSets
from training.results.value import BtydFit

logger = logging.getLogger(__name__)
NEED_SPEND = (LIGHTGBM, HURDLE, ZILN, STACK)


@dataclass(frozen=True)
class Fits:
    """The models as they were fitted for each window of customers; those for the test are served."""

    test: SpendModels
    selection: SpendModels
    backtest: SpendModels | None


def cheap_forecasts(
    sets: ExampleSets, models: tuple[str, ...], seed: int
) -> tuple[dict[str, Forecast], Fits]:
    """What the models asked for expect, and the models."""
    wanted = models
    if not sets.train["target"].sum() > 0:
        wanted = tuple(name for name in models if name not in NEED_SPEND)
        if left_out := [name for name in models if name in NEED_SPEND]:
            logger.warning(
                "left out: %s, since no training row spends anything", ", ".join(left_out)
            )
    fits = Fits(
        test=SpendModels.fit(sets.for_test, wanted, seed=seed),
        selection=SpendModels.fit(sets.for_selection, wanted, seed=seed),
        backtest=None
        if sets.backtest is None
        else SpendModels.fit(sets.backtest.for_test, wanted, seed=seed),
    )
    judged = [name for name in fits.test.names if name in wanted and name in fits.selection.names]
    return {name: _forecast(name, fits, sets) for name in judged}, fits


def fit_table(models: Mapping[str, Btyd]) -> dict[str, BtydFit]:
    """`btyd_fits` of metrics.json: by model, of purchases and of order values, parameters and how the fit ended."""
    return {
        name: BtydFit(purchases=model.purchases, order_values=model.values)
        for name, model in models.items()
    }


def _forecast(name: str, fits: Fits, sets: ExampleSets) -> Forecast:
    fits.test.expected_spend(name, sets.test.head(1))  # starting threads once only is not speed
    started_at = time.perf_counter()
    test = fits.test.expected_spend(name, sets.test)
    seconds = max(time.perf_counter() - started_at, 1e-9)
    backtest = None
    if fits.backtest is not None and sets.backtest is not None and name in fits.backtest.names:
        backtest = fits.backtest.expected_spend(name, sets.backtest.test)
    return Forecast(
        selection=fits.selection.expected_spend(name, sets.selection),
        test=test,
        customers_per_second=sets.test.height / seconds,
        backtest=backtest,
        leaving=_leaving(name, fits, sets),
    )


def _leaving(name: str, fits: Fits, sets: ExampleSets) -> Leaving | None:
    selection = fits.selection.no_purchase(name, sets.selection)
    test = fits.test.no_purchase(name, sets.test)
    if selection is None or test is None:
        return None
    backtest: np.ndarray | None = None
    if fits.backtest is not None and sets.backtest is not None and name in fits.backtest.names:
        backtest = fits.backtest.no_purchase(name, sets.backtest.test)
    return Leaving(selection, test, backtest)
