"""The interval of a total: what whole windows were off by, not how many customers there are."""

import numpy as np
import polars as pl
import pytest

from tests.lifecycle.value.test_said import ANNUAL, HABITS, MONTHLY
from training.evaluate.value.total import error_of, season_share
from training.results.value import Interval, TotalWindow


def window(bias: float | None, interval: Interval | None = None) -> TotalWindow:
    return TotalWindow(
        window="test",
        cutoff="2024-01-01",
        until="2024-03-31",
        predicted=100.0 * (bias or 1.0),
        actual=100.0 if bias else 0.0,
        bias=bias,
        bias_interval=interval,
    )


def test_windows_that_were_off_both_ways_make_a_wide_interval_however_many_customers_there_are() -> (
    None
):
    found = error_of([window(2.0, (1.99, 2.01)), window(0.5, (0.499, 0.501))])
    # Of two degrees of freedom t(.9) is 1.8856, and both logarithms are log 2.
    assert found.high == pytest.approx(2.0**1.8856, rel=1e-4)
    assert found.low == pytest.approx(2.0**-1.8856, rel=1e-4)


def test_one_lucky_window_is_no_proof_of_precision() -> None:
    found = error_of([window(1.0001, (0.9, 1.1))])
    # The standard error of the logarithm is log(1.1 / .9) / 3.92 = .0512, t(.9) of one degree 3.0777.
    assert found.high == pytest.approx(np.exp(3.0777 * 0.05119), rel=1e-3)


def test_next_window_lies_within_as_often_as_said() -> None:
    generator = np.random.default_rng(0)
    held = []
    for _ in range(4000):
        *before, ahead = np.exp(generator.normal(0.0, 0.2, 3))
        found = error_of([window(bias) for bias in before])
        assert found.low is not None and found.high is not None
        held.append(found.low <= ahead <= found.high)
    assert np.mean(held) == pytest.approx(0.8, abs=0.02)


def test_nothing_is_said_where_nobody_spent_anything() -> None:
    found = error_of([window(None)])
    assert (found.low, found.high) == (None, None)


def test_what_is_not_known_of_the_season_is_not_known_of_the_total() -> None:
    windows = [window(1.01, (0.99, 1.03)), window(0.99, (0.97, 1.01))]
    found = error_of(windows, least=0.2)
    assert found.high == pytest.approx(np.exp(1.8856 * 0.2), rel=1e-4)


def test_season_counts_for_the_spend_that_no_plan_decides() -> None:
    known = pl.concat([HABITS, MONTHLY, ANNUAL], how="diagonal")
    assert season_share(known, np.array([60.0, 30.0, 10.0])) == pytest.approx(0.6)
    assert season_share(MONTHLY, np.array([30.0])) == 0.0
    assert season_share(HABITS, np.array([0.0])) == 1.0
