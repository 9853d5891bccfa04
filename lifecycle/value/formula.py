"""Customer lifetime value from revenue and cost per period: CLV = sum over t of (R_t - C_t) / (1 + d)^t."""

import numpy as np

DAYS_PER_YEAR = 365.0


def discount_rate(annual: float, period_days: float) -> float:
    """The rate d of one period, (1 + annual)^(period_days / 365) - 1; 0.1 means ten per cent a year.

    Raises ValueError for a rate of -1 or less, or a period that is not positive.
    """
    if not annual > -1.0:
        raise ValueError(f"annual discount rate is {annual}; it must be above -1")
    if not period_days > 0:
        raise ValueError(f"period_days is {period_days}; a period needs a positive length")
    return float((1.0 + annual) ** (period_days / DAYS_PER_YEAR) - 1.0)


def present_value(
    revenue: np.ndarray, cost: np.ndarray, *, annual_discount_rate: float, period_days: float
) -> tuple[np.ndarray, np.ndarray]:
    """Discounted margin of each period, shape (n, T), and its sum over periods, the CLV, shape (n,).

    `revenue` and `cost` are (n, T) for periods t = 1..T after the cutoff; each counts at its end. Raises ValueError
    where their shapes differ.
    """
    if revenue.shape != cost.shape or revenue.ndim != 2:
        raise ValueError(f"revenue is {revenue.shape} and cost {cost.shape}; both must be (customers, periods)")
    rate = discount_rate(annual_discount_rate, period_days)
    periods = np.arange(1, revenue.shape[1] + 1)
    discounted: np.ndarray = (revenue - cost) / (1.0 + rate) ** periods
    return discounted, discounted.sum(axis=1)


def spread(total: np.ndarray, cumulative_curve: np.ndarray) -> np.ndarray:
    """Each customer's `total` (n,) over T periods, shape (n, T), in proportion to the rises of a curve (n, T).

    The curve is cumulative (expected orders up to the end of each period) and never falls; where it stays 0 the
    periods get equal parts. Rows sum to `total` up to rounding.
    """
    num_periods = cumulative_curve.shape[1]
    end = cumulative_curve[:, -1:]
    equal = np.arange(1, num_periods + 1) / num_periods
    shares = np.where(end > 0, cumulative_curve / np.where(end > 0, end, 1.0), equal)
    assert (np.diff(shares, axis=1, prepend=0.0) > -1e-9).all(), "a cumulative curve cannot fall"
    return np.diff(total[:, None] * np.maximum.accumulate(shares, axis=1), axis=1, prepend=0.0)
