"""The season that an artifact holds: by day, by interval, and relative to its own cutoff."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.season import Season

CUTOFF = date(2024, 10, 1)
MONTHS = [f"{2024 + (9 + number) // 12}-{(9 + number) % 12 + 1:02d}" for number in range(12)]
FACTORS = [1.0, 1.4, 2.0, 0.8, 0.7, 0.9, 0.9, 0.9, 0.8, 0.8, 0.9, 0.9]
SEASON = Season(
    factor=1.3,
    low=1.1,
    high=1.5,
    learned_from=(date(2022, 1, 1), CUTOFF),
    months=dict(zip(MONTHS, FACTORS, strict=True)),
    cutoff=CUTOFF,
    year_ago=1.25,
)


def midnights(*days: date) -> pl.Series:
    instants = [datetime.combine(day, datetime.min.time(), UTC) for day in days]
    return pl.Series(instants, dtype=pl.Datetime("us", "UTC"))


def test_middle_of_a_month_has_its_factor_in_every_year() -> None:
    december = midnights(date(2024, 12, 15), date(2026, 12, 15))
    found = SEASON.of_intervals(december, np.array([0, 1]))
    assert found[:, 0] == pytest.approx(2.0, rel=0.02)


def test_windows_are_relative_to_that_of_the_cutoff() -> None:
    at_cutoff, next_year, in_january = SEASON.ahead(
        midnights(CUTOFF, CUTOFF + timedelta(days=365), date(2025, 1, 15)), 90
    )
    assert at_cutoff == 1.0
    assert next_year == pytest.approx(1.0, rel=0.01)
    assert in_january < 0.7


def test_intervals_of_a_customer_do_not_depend_on_others() -> None:
    ends = np.array([0, 30, 60, 90, 365])
    together = SEASON.of_intervals(midnights(CUTOFF, date(2025, 3, 1), date(2024, 11, 7)), ends)
    alone = SEASON.of_intervals(midnights(date(2024, 11, 7)), ends)
    np.testing.assert_array_equal(together[2], alone[0])
    assert together[0, -1] < together[0, 1]


def test_nobody_has_no_season() -> None:
    assert SEASON.of_intervals(midnights(), np.array([0, 30, 60])).shape == (0, 2)
    assert SEASON.ahead(midnights(), 60).shape == (0,)


def test_time_of_day_makes_no_difference() -> None:
    noon = midnights(CUTOFF) + timedelta(hours=12)
    assert SEASON.ahead(noon, 90)[0] == 1.0


def test_it_is_kept_as_json_and_told_in_a_sentence() -> None:
    again = Season.model_validate_json(SEASON.model_dump_json())
    assert again == SEASON and again.is_known
    assert SEASON.told() == (
        "last year the months ahead brought 1.25 of what these models expect; "
        "the total is brought to 1.30 of it (95 %: 1.10 to 1.50)"
    )
    unknown = Season(why="the shop is young")
    assert not unknown.is_known and unknown.factor == 1
    assert unknown.told() == "season and growth are not in the forecast: the shop is young"
