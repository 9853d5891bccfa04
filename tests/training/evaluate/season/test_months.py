"""What is learned of months whose level, growth and season are known."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from training.evaluate.season.months import Months

AHEAD = np.array([0.05, 0.15, 0.25])


def cells(years: np.ndarray, logarithms: np.ndarray, variance: float = 1e-4) -> pl.DataFrame:
    """Months of which 100 is expected, and what they bring."""
    expected = np.full(len(years), 100.0)
    columns = {"years": years, "expected": expected, "actual": expected * np.exp(logarithms)}
    return pl.DataFrame(columns).with_columns(variance=pl.lit(variance))


def middles(number: int) -> np.ndarray:
    return (np.arange(-number, 0) + 0.5) / 12


def wave(years: np.ndarray) -> np.ndarray:
    """A season that is highest at the cutoff's time of the year."""
    return 0.3 * np.cos(2 * np.pi * years)


def test_season_comes_again() -> None:
    years = middles(36)
    months = Months(cells(years, wave(years)))
    mean, covariance = months.ahead(AHEAD)
    assert mean == pytest.approx(wave(AHEAD), abs=0.06)
    assert np.all(np.diag(covariance) > 0) and covariance.shape == (3, 3)
    of_year = months.of_year(date(2023, 10, 1))
    assert list(of_year)[0] == "2023-10" and np.mean(list(of_year.values())) == pytest.approx(1)
    assert max(of_year, key=lambda month: of_year[month]) in ("2023-10", "2023-09")


def test_growth_is_told_with_its_doubt() -> None:
    years = middles(36)
    growth, doubt = Months(cells(years, 0.2 * years)).growth()
    assert abs(growth - 0.2) < 2 * doubt and 0 < doubt < 0.25


def test_what_few_customers_say_counts_little() -> None:
    years = middles(36)
    sure, _ = Months(cells(years, wave(years))).ahead(AHEAD)
    unsure, _ = Months(cells(years, wave(years), variance=1.0)).ahead(AHEAD)
    assert np.all(np.abs(unsure) < 0.5 * np.abs(sure))


def test_pace_is_that_of_the_first_month_before_it() -> None:
    years = middles(24)
    months = Months(cells(years, wave(years)))
    first = years[0] * 365
    assert months.pace(np.array([first - 200, first - 20])) == pytest.approx(
        months.pace(np.array([first]))[[0, 0]]
    )
    assert months.pace(np.array([-365.0])) / months.pace(np.array([-182.0])) > 1.5
