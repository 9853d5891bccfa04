"""What months brought of what a BTYD model expects, taken apart, and what those ahead will bring: a Gaussian process.

The logarithm of actual over expected spend of a month is taken as the sum of a level, a line in
time, a slow drift, a season that comes again every year, and noise of the month itself and of its
customers (a structural time series, Harvey 1989, as a Gaussian process, Rasmussen and Williams
2006, 5.4). How far each may go is stated below and the same for every shop: likelihood told it
worse from two or three years. What little data say shrinks towards 1 by itself.
"""

from collections.abc import Sequence
from datetime import date

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

from lifecycle.btyd.season import NUM_MONTHS
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
A_YEAR = np.array([1.0])


class Months:
    """What is learned of the months of `backcast`; times are in years from its cutoff."""

    def __init__(self, cells: pl.DataFrame) -> None:
        ratio = (cells["actual"] / cells["expected"]).log().to_numpy()
        kernel = sum(_kernels()[1:], start=_kernels()[0]) + WhiteKernel(MONTH_NOISE**2, "fixed")
        variance = cells["variance"].to_numpy()
        self._process = GaussianProcessRegressor(kernel, alpha=variance, optimizer=None)
        self._process.fit(cells["years"].to_numpy()[:, None], ratio)

    def ahead(self, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (k,) and covariance (k, k) of the logarithms at `years` (k,)."""
        mean, covariance = self._process.predict(years[:, None], return_cov=True)
        return mean, covariance

    def pace(self, days: np.ndarray) -> np.ndarray:
        """Spend over what is expected on days from the cutoff; before the middle of the first month as there."""
        first = self._process.X_train_[0]
        pace: np.ndarray = np.exp(
            self._process.predict(np.maximum(days[:, None] / YEAR_DAYS, first))
        )
        return pace

    def growth(self) -> tuple[float, float]:
        """Mean and standard deviation of the growth of the logarithm in a year."""
        return float(self._part(1, A_YEAR)[0]), float(self._doubt(1, A_YEAR)[0])

    def of_year(self, cutoff: date) -> dict[str, float]:
        """The season of the twelve months from that of the cutoff, over their mean."""
        months = [_month_after(cutoff, number) for number in range(NUM_MONTHS)]
        years = np.array([(month - cutoff).days / YEAR_DAYS for month in months])
        season = np.exp(self._part(3, years))
        return {
            f"{month:%Y-%m}": float(factor)
            for month, factor in zip(months, season / season.mean(), strict=True)
        }

    def _part(self, number: int, years: np.ndarray) -> np.ndarray:
        """What one of the kernels alone adds to the logarithm at `years`, shape (n,)."""
        kernel = _kernels()[number]
        added: np.ndarray = kernel(years[:, None], self._process.X_train_) @ self._process.alpha_
        return added

    def _doubt(self, number: int, years: np.ndarray) -> np.ndarray:
        """Standard deviation of `_part`, shape (n,) (Rasmussen and Williams 2006, 2.26)."""
        kernel = _kernels()[number]
        known = kernel(self._process.X_train_, years[:, None])
        told = solve_triangular(self._process.L_, known, lower=True)
        doubt: np.ndarray = np.sqrt(kernel.diag(years[:, None]) - (told**2).sum(axis=0))
        return doubt


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


def _month_after(day: date, number: int) -> date:
    """The middle of the month that comes so many after that of `day`."""
    year, month = divmod(day.year * 12 + day.month - 1 + number, 12)
    return date(year, month + 1, 15)
