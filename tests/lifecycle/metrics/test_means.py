"""Means over customers and their bootstrap intervals against resampled rows and the normal distribution."""

import numpy as np
import pytest

from lifecycle.metrics.means import mean_draws, mean_intervals, mean_of

RANDOM = np.random.default_rng(0)
VALUES = np.stack([RANDOM.normal(2.0, 1.0, 400), RANDOM.random(400) < 0.3], axis=1)


def test_draws_are_the_means_of_resampled_rows() -> None:
    draws = mean_draws(VALUES, num_resamples=3, seed=7)
    random = np.random.default_rng(7)
    rows = [VALUES[random.integers(0, 400, 400)] for _ in range(3)]
    assert draws == pytest.approx(np.stack([drawn.mean(axis=0) for drawn in rows]))


def test_undefined_values_are_left_out() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    assert (mean_of(values[:, 0]), mean_of(values[:, 1])) == (2.0, None)
    draws = mean_draws(values, num_resamples=50, seed=0)
    assert np.isnan(draws[:, 1]).all() and set(draws[~np.isnan(draws[:, 0]), 0]) > {1.0, 3.0}
    known, unknown = mean_intervals(values, num_resamples=50, seed=0)
    assert known == (1.0, 3.0) and unknown is None
    assert mean_intervals(values[:0], num_resamples=50, seed=0) == [None, None]


def test_intervals_are_those_of_the_normal_distribution() -> None:
    intervals = mean_intervals(VALUES, num_resamples=2000, seed=0)
    for column, interval in zip(VALUES.T, intervals, strict=True):
        error = 1.96 * column.std() / 20
        expected = (column.mean() - error, column.mean() + error)
        assert interval == pytest.approx(expected, abs=0.1 * error)
