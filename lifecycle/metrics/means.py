"""Means over customers, with bootstrap intervals."""

import numpy as np

from lifecycle.metrics.value import percentile_interval, resamples


def mean_of(values: np.ndarray) -> float | None:
    """The mean of the values (n,) that are not NaN; None without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def mean_draws(values: np.ndarray, *, num_resamples: int, seed: int) -> np.ndarray:
    """The means of columns (n, m) in each resample of the n customers, (num_resamples, m).

    NaN are left out, and are where nothing else is left. All columns are of the same customers in
    a resample, so that their differences are paired.
    """
    is_known = ~np.isnan(values)
    # Sums and counts by one product a resample.
    summed = np.hstack([np.where(is_known, values, 0.0), is_known])
    found = np.stack([drawn @ summed for drawn in resamples(len(values), num_resamples, seed)])
    sums, counts = np.hsplit(found, 2)
    means: np.ndarray = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return means


def mean_intervals(
    values: np.ndarray, *, num_resamples: int, seed: int, level: float = 0.95
) -> list[tuple[float, float] | None]:
    """The percentile interval of the mean of each column (n, m) over resampled customers; None where it has none."""
    if not len(values):
        return [None] * values.shape[1]
    draws = mean_draws(values, num_resamples=num_resamples, seed=seed)
    return [percentile_interval(column, level) for column in draws.T]
