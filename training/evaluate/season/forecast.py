"""From what earlier months brought of what BG/NBD expects to what the months ahead will: a Gaussian process.

The logarithm of actual over expected spend of a month is taken as the sum of a level, a line in
time, a slow drift, a season that comes again every year, and noise of the month itself and of its
customers (a structural time series, Harvey 1989, as a Gaussian process, Rasmussen and Williams
2006, 5.4). How far each may go is stated below and the same for every shop: likelihood told it
worse from two or three years. What little data say shrinks towards 1 by itself.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from scipy.linalg import solve_triangular
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Kernel,
    Matern,
    WhiteKernel,
)

from lifecycle.btyd.model import Btyd, btyd_curve, btyd_order_value
from lifecycle.btyd.season import NUM_MONTHS, Season
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack_trees import MISLED
from training.evaluate.season.backcast import CELL_DAYS, MIN_AGE_DAYS, backcast, latest_gap
from training.prepare.recipe import YEAR_DAYS

# Standard deviations of logarithms.
LEVEL = 0.3
GROWTH = 0.25  # in a year
DRIFT = 0.1  # which is half forgotten in DRIFT_YEARS
DRIFT_YEARS = 1.0
SEASON = 0.4
SEASON_LENGTH = (
    0.4  # of ExpSineSquared: months next to each other are alike, those after them little
)
MONTH_NOISE = 0.08
MIN_BUYERS = 5  # in a cell, for its ratio to count
MIN_DAYS = YEAR_DAYS + MIN_AGE_DAYS  # before the cutoff
NORMAL_95 = 1.96


def season_for(models: SpendModels, data: Path, known: pl.DataFrame, horizon_days: int) -> Season:
    """`find_season` for these models; nothing is known where BG/NBD, whose total it corrects, misleads."""
    if models.stack is not None and models.stack.is_misled:
        return Season(
            why="BG/NBD, whose total they would correct, misleads here: its squared errors are clearly more than "
            f"{MISLED:g} times those of trees"
        )
    return find_season(data, models.for_season, known, horizon_days)


def find_season(data: Path, btyd: Btyd | None, known: pl.DataFrame, horizon_days: int) -> Season:
    """The season of the horizon after the cutoff of `known`, all customers as they are known at it.

    Nothing is known of it where less than a year of outcomes lies before the cutoff, or too few
    customers bought in it; `why` says so. A shop begins anew behind months that are missing.
    """
    cutoff: datetime = known["cutoff"][0]
    if btyd is None:
        return Season(why="too few customers have bought again")
    first_day = cutoff.date() - timedelta(days=int(known["btyd_age"].max()))  # type: ignore[arg-type]
    begin = f"the purchases begin on {first_day}"
    if _is_old(first_day, cutoff) and (gap := latest_gap(data, cutoff)):
        begin = f"nobody bought from {gap.first} to {gap.last}, which no other year repeats"
        first_day = gap.last + timedelta(days=1)
    if not _is_old(first_day, cutoff):
        age = (cutoff.date() - first_day).days
        return Season(why=f"{begin}, {age} days before {cutoff.date()}; a season needs {MIN_DAYS}")
    cells = backcast(data, btyd, cutoff, horizon_days, first_day)
    is_told = (pl.col("buyers") >= MIN_BUYERS) & (pl.col("actual") > 0) & (pl.col("expected") > 0)
    told = cells.filter(is_told)
    if told.height < NUM_MONTHS:
        return Season(
            why=f"{told.height} of {cells.height} months before {cutoff.date()} have "
            f"{MIN_BUYERS} buyers; a season needs {NUM_MONTHS}"
        )
    return _forecast(told, btyd, known, horizon_days)


def _is_old(first_day: date, cutoff: datetime) -> bool:
    return (cutoff.date() - first_day).days >= MIN_DAYS


def _forecast(cells: pl.DataFrame, btyd: Btyd, known: pl.DataFrame, horizon_days: int) -> Season:
    cutoff: datetime = known["cutoff"][0]
    process = _fitted(cells)
    ends = np.linspace(0, horizon_days, max(1, round(horizon_days / CELL_DAYS)) + 1)
    orders = np.diff(btyd_curve(btyd, known, ends[1:]), axis=1, prepend=0.0)
    expected = (orders * btyd_order_value(btyd, known)[:, None]).sum(axis=0)
    share = expected / expected.sum()
    years = (ends[1:] + ends[:-1]) / 2 / YEAR_DAYS
    mean, covariance = process.predict(years[:, None], return_cov=True)
    factor = float(share @ np.exp(mean))
    spread = NORMAL_95 * float(np.sqrt(share @ covariance @ share))
    a_year = np.array([1.0])
    growth, doubt = float(_part(process, 1, a_year)[0]), float(_doubt(process, 1, a_year)[0])
    first = cutoff + timedelta(days=round(float(cells["years"][0]) * YEAR_DAYS - CELL_DAYS / 2))
    return Season(
        factor=factor,
        low=factor * float(np.exp(-spread)),
        high=factor * float(np.exp(spread)),
        learned_from=(first.date(), cutoff.date()),
        months=_months(process, cutoff.date()),
        cutoff=cutoff.date(),
        year_ago=_year_ago(cells, years),
        growth=float(np.expm1(growth)),
        growth_low=float(np.expm1(growth - NORMAL_95 * doubt)),
        growth_high=float(np.expm1(growth + NORMAL_95 * doubt)),
    )


def _fitted(cells: pl.DataFrame) -> GaussianProcessRegressor:
    ratio = (cells["actual"] / cells["expected"]).log().to_numpy()
    kernel = sum(_kernels()[1:], start=_kernels()[0]) + WhiteKernel(MONTH_NOISE**2, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=cells["variance"].to_numpy(), optimizer=None)
    return process.fit(cells["years"].to_numpy()[:, None], ratio)


def _kernels() -> Sequence[Kernel]:
    """Level, growth, drift and season."""
    return (
        _scaled(LEVEL),
        _scaled(GROWTH) * DotProduct(0.0, "fixed"),
        _scaled(DRIFT) * Matern(DRIFT_YEARS, "fixed", nu=0.5),
        _scaled(SEASON) * ExpSineSquared(SEASON_LENGTH, 1.0, "fixed", "fixed"),
    )


def _scaled(deviation: float) -> Kernel:
    return ConstantKernel(deviation**2, "fixed")


def _part(process: GaussianProcessRegressor, number: int, years: np.ndarray) -> np.ndarray:
    """What one of the kernels alone adds to the logarithm at `years` from the cutoff, shape (n,)."""
    kernel = _kernels()[number]
    added: np.ndarray = kernel(years[:, None], process.X_train_) @ process.alpha_
    return added


def _doubt(process: GaussianProcessRegressor, number: int, years: np.ndarray) -> np.ndarray:
    """Standard deviation of `_part`, shape (n,) (Rasmussen and Williams 2006, 2.26)."""
    kernel = _kernels()[number]
    told = solve_triangular(process.L_, kernel(process.X_train_, years[:, None]), lower=True)
    doubt: np.ndarray = np.sqrt(kernel.diag(years[:, None]) - (told**2).sum(axis=0))
    return doubt


def _months(process: GaussianProcessRegressor, cutoff: date) -> dict[str, float]:
    """The season of the twelve months from that of the cutoff, over their mean."""
    months = [_month_after(cutoff, number) for number in range(NUM_MONTHS)]
    years = np.array([(month - cutoff).days / YEAR_DAYS for month in months])
    season = np.exp(_part(process, 3, years))
    return {
        f"{month:%Y-%m}": float(factor)
        for month, factor in zip(months, season / season.mean(), strict=True)
    }


def _month_after(day: date, number: int) -> date:
    """The middle of the month that comes so many after that of `day`."""
    year, month = divmod(day.year * 12 + day.month - 1 + number, 12)
    return date(year, month + 1, 15)


def _year_ago(cells: pl.DataFrame, years: np.ndarray) -> float | None:
    """What the days of the horizon brought a year earlier of what is expected of them."""
    half = CELL_DAYS / 2 / YEAR_DAYS
    then = cells.filter(pl.col("years").is_between(years[0] - 1 - half, years[-1] - 1 + half))
    if then.is_empty():
        return None
    return float(then["actual"].to_numpy().sum() / then["expected"].to_numpy().sum())
