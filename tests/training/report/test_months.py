"""Months of a shop: which are whole, whether it grows, and which are strong."""

from datetime import date

import pytest

from training.report.months import (
    gap_months,
    partial_months,
    partial_words,
    season_words,
    since_gaps,
    trend_words,
    whole_months,
)
from training.results.quality import SalesGap


@pytest.mark.parametrize(
    ("first", "last", "partial"),
    [
        (date(2023, 1, 1), date(2023, 12, 31), {}),
        # Closed at a week-end.
        (date(2023, 1, 3), date(2023, 12, 29), {}),
        (
            date(2023, 1, 4),
            date(2023, 12, 28),
            {"2023-01": "from 2023-01-04", "2023-12": "until 2023-12-28"},
        ),
        (date(2023, 2, 10), date(2023, 2, 20), {"2023-02": "from 2023-02-10 until 2023-02-20"}),
        (date(2024, 2, 1), date(2024, 2, 26), {"2024-02": "until 2024-02-26"}),
    ],
)
def test_months_at_the_ends_are_partial_where_days_are_missing(
    first: date, last: date, partial: dict[str, str]
) -> None:
    assert partial_months(first, last) == partial


def test_months_without_revenue_are_months_all_the_same() -> None:
    revenue = {"2023-11": 5.0, "2024-02": 7.0, "2024-03": 1.0}
    found = whole_months(revenue, {"2024-03": "until 2024-03-02"})
    assert found == {"2023-11": 5.0, "2023-12": 0.0, "2024-01": 0.0, "2024-02": 7.0}


def months(first_year: int, amounts: list[float]) -> dict[str, float]:
    return {
        f"{first_year + place // 12}-{place % 12 + 1:02d}": amount
        for place, amount in enumerate(amounts)
    }


def test_trend_compares_the_same_months_whatever_the_season() -> None:
    season = [1.0] * 10 + [3.0, 5.0]
    two_years = months(2022, [*(10 * part for part in season), *(12 * part for part in season)])
    assert trend_words(two_years) == "The last 12 months brought 20 % more than a year before."
    fifteen = months(2022, [*(10 * part for part in season), 9.0, 9.0, 9.0])
    assert trend_words(fifteen) == "The last 3 months brought 10 % less than a year before."
    assert "cannot be told apart" in trend_words(months(2022, [10.0] * 12))


def test_season_is_that_of_whole_years() -> None:
    season = [0.5] + [1.0] * 10 + [1.5]
    assert season_words(months(2022, season * 3)) == (
        "From 2022-01 to 2024-12, the trend taken out, December brought 1.50 times the mean month, "
        "January 0.50 times."
    )
    assert season_words(months(2022, season * 2)).endswith("Of two years, chance is in that.")
    # Fourteen months are one year: the last twelve, March to February.
    told = season_words(months(2022, [*season, 9.0, 1.0]))
    assert told.startswith("From 2022-03 to 2023-02, January brought") and "chance" in told
    assert "less than a year: the season is not known" in season_words(months(2022, [1.0] * 11))
    assert season_words(months(2022, [0.0] * 30)) == "The months brought nothing."


def test_growth_alone_is_no_season() -> None:
    # From July to June a shop that grows by a twentieth a month has its weakest month in July, its strongest in June.
    grown = {
        f"{2022 + (place + 6) // 12}-{(place + 6) % 12 + 1:02d}": 1.05**place for place in range(37)
    }
    told = season_words(grown)
    assert "brought 1.00 times the mean month" in told and "1.00 times." in told


def test_months_in_part_are_told_in_grammar() -> None:
    assert partial_words({"2023-01": "from 2023-01-04"}).endswith("which is not compared.")
    both = {"2023-01": "from 2023-01-04", "2023-12": "until 2023-12-28"}
    assert partial_words(both).endswith("which are not compared.")
    assert partial_words({}) == ""


def test_months_of_a_gap_are_no_season_and_not_compared() -> None:
    """Three even years, of which four months are missing: neither growth nor season is in them."""
    gaps = [SalesGap(first="2022-03-10", last="2022-06-20", days=103)]
    revenue = months(2021, [100.0] * 36)
    for name in ("2022-04", "2022-05"):
        del revenue[name]
    revenue |= {"2022-03": 30.0, "2022-06": 30.0}
    partial = gap_months(gaps)
    assert list(partial) == ["2022-03", "2022-04", "2022-05", "2022-06"]
    whole = whole_months(revenue, partial)
    assert trend_words(whole) == "The last 12 months brought 0 % more than a year before."
    assert list(since_gaps(whole, gaps)) == list(months(2022, [0.0] * 24))[6:]
    assert "brought 1.00 times the mean month" in season_words(since_gaps(whole, gaps))
    assert since_gaps(whole, []) == whole
