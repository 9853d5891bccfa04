"""The models that fit in seconds, each fitted for the test, for the selection and for the backtest customers."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.btyd.model import Btyd
from lifecycle.jobs import Progress
from lifecycle.names import HURDLE, LIGHTGBM, STACK, VALUE_MODELS, ZILN
from lifecycle.spend.models import SpendModels
from training.evaluate.season.forecast import season_for
from training.evaluate.value.convergence import tell_problems
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
    same_season: SpendModels | None


def cheap_forecasts(
    sets: ExampleSets, models: tuple[str, ...], seed: int, data: Path
) -> tuple[dict[str, Forecast], Fits]:
    """What the models asked for expect, and the models.

    All have the total that the season of the ingest folder `data` will bring, where it is known.
    """
    wanted = models
    if not sets.train["target"].sum() > 0:
        wanted = tuple(name for name in models if name not in NEED_SPEND)
        if left_out := [name for name in models if name in NEED_SPEND]:
            logger.warning(
                "left out: %s, since no training row spends anything", ", ".join(left_out)
            )
    fits = _fit_windows(sets, wanted, seed, data)
    judged = [name for name in fits.test.names if name in wanted and name in fits.selection.names]
    return {name: _forecast(name, fits, sets) for name in judged}, fits


def _fit_windows(sets: ExampleSets, wanted: tuple[str, ...], seed: int, data: Path) -> Fits:
    """The models fitted for each window, with progress by the rows that they learn from."""
    windows = {"test": sets, "backtest": sets.backtest, "same season": sets.same_season}
    there = {name: window for name, window in windows.items() if window is not None}
    num_rows = sum(window.for_test.train.height for window in there.values()) + sets.train.height
    num_models = sum(name in VALUE_MODELS for name in wanted)
    progress = Progress(f"{num_models} models fitted to", num_rows, "rows", every_seconds=0.0)
    logger.info("fitting %d models for %s, selection", num_models, ", ".join(there))
    fits: dict[str, SpendModels] = {}
    for name, window in there.items():
        fits[name] = _fitted(window, wanted, seed, data)
        progress.advance(window.for_test.train.height)
    fits["selection"] = SpendModels.fit(sets.for_selection, wanted, seed=seed)
    progress.advance(sets.train.height)
    tell_problems(fits)
    return Fits(fits["test"], fits["selection"], fits.get("backtest"), fits.get("same season"))


def _fitted(sets: ExampleSets, models: tuple[str, ...], seed: int, data: Path) -> SpendModels:
    """The models for the test customers, brought to the total that the season will bring."""
    fitted = SpendModels.fit(sets.for_test, models, seed=seed)
    season = season_for(fitted, data, sets.test, sets.horizon_days)
    return fitted.brought_to(season, sets.test)


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
    selection = fits.selection.expected_spend(name, sets.selection)
    if fits.test.season.is_known:
        selection = _with_actual_totals(selection, sets.selection)
    return Forecast(
        selection=selection,
        test=test,
        customers_per_second=sets.test.height / seconds,
        backtest=_expected_then(name, fits.backtest, sets.backtest),
        same_season=_expected_then(name, fits.same_season, sets.same_season),
        leaving=_leaving(name, fits, sets),
    )


def _expected_then(
    name: str, models: SpendModels | None, sets: ExampleSets | None
) -> np.ndarray | None:
    """What a model expected of the test customers of an earlier window; None where it was not there."""
    if models is None or sets is None or name not in models.names:
        return None
    return models.expected_spend(name, sets.test)


def _with_actual_totals(expected: np.ndarray, rows: pl.DataFrame) -> np.ndarray:
    """Expected spend (n,) with the total that each window brought: intervals are then of customers, not of a season."""
    sums = rows.select("cutoff", "target", expected=expected).with_columns(
        pl.col("target", "expected").sum().over("cutoff")
    )
    ratio = pl.when(pl.min_horizontal("target", "expected") > 0).then(
        pl.col("target") / pl.col("expected")
    )
    right: np.ndarray = expected * sums.select(ratio.otherwise(1.0)).to_series().to_numpy()
    return right


def _leaving(name: str, fits: Fits, sets: ExampleSets) -> Leaving | None:
    selection = fits.selection.no_purchase(name, sets.selection)
    test = fits.test.no_purchase(name, sets.test)
    if selection is None or test is None:
        return None
    backtest: np.ndarray | None = None
    if fits.backtest is not None and sets.backtest is not None and name in fits.backtest.names:
        backtest = fits.backtest.no_purchase(name, sets.backtest.test)
    return Leaving(selection, test, backtest)
