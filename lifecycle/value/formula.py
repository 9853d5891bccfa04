"""Customer lifetime value from revenue and cost per period: CLV = sum over t of (R_t - C_t) / (1 + d)^t."""

import numpy as np
import polars as pl
from pydantic import Field

from lifecycle.config import Config
from lifecycle.events.schema import OWN_RATE

DAYS_PER_YEAR = 365.0


class ClvSettings(Config):
    """Periods after the cutoff and the annual discount rate (0.1 = ten per cent)."""

    period_days: int = Field(30, ge=1)
    num_periods: int = Field(12, ge=1)
    annual_discount_rate: float = Field(0.1, gt=-1)

    @property
    def days(self) -> int:
        """Of all periods."""
        return self.period_days * self.num_periods


def discount_rate(annual: float | np.ndarray, period_days: float) -> np.ndarray:
    """The rate d of one period, (1 + annual)^(period_days / 365) - 1, of each rate; 0.1 means ten per cent a year.

    Raises ValueError for a rate of -1 or less, or a period that is not positive.
    """
    rates = np.asarray(annual, dtype=float)
    if not (rates > -1.0).all():
        raise ValueError(
            f"annual discount rate is {rates[~(rates > -1.0)].flat[0]}; it must be above -1"
        )
    if not period_days > 0:
        raise ValueError(f"period_days is {period_days}; a period needs a positive length")
    result: np.ndarray = (1.0 + rates) ** (period_days / DAYS_PER_YEAR) - 1.0
    return result


def discount_rates(examples: pl.DataFrame, settings: ClvSettings) -> np.ndarray:
    """The annual rate of each customer, shape (n,): its own in column OWN_RATE of `examples`, or the settings'."""
    if OWN_RATE not in examples.columns:
        return np.full(examples.height, settings.annual_discount_rate)
    own = examples[OWN_RATE].to_numpy()  # NaN is null
    return np.where(np.isnan(own), settings.annual_discount_rate, own)


def present_value(
    revenue: np.ndarray,
    cost: np.ndarray,
    *,
    annual_discount_rate: float | np.ndarray,
    period_days: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Discounted margin of each period, shape (n, T), and its sum over periods, the CLV, shape (n,).

    `revenue` and `cost` are (n, T) for periods t = 1..T after the cutoff; each counts at its end.
    The rate is one for all or (n,). Raises ValueError where shapes differ.
    """
    if revenue.shape != cost.shape or revenue.ndim != 2:
        raise ValueError(
            f"revenue is {revenue.shape} and cost {cost.shape}; both must be (customers, periods)"
        )
    rate = discount_rate(annual_discount_rate, period_days).reshape(-1, 1)
    periods = np.arange(1, revenue.shape[1] + 1)
    discounted: np.ndarray = (revenue - cost) / (1.0 + rate) ** periods
    return discounted, discounted.sum(axis=1)
