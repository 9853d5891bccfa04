"""The season in the report: a sentence and a plot where it is known, and that it is not where it is not."""

import json
from datetime import date
from pathlib import Path

import pytest

from lifecycle.btyd.season import Season
from training.report.answer.season import season_parts
from training.report.page import Paragraph, Picture
from training.results.customers import SegmentWorth, Worth

MONTHS = {f"2024-{month:02d}": 1.0 + (0.9 if month == 12 else -0.1) for month in range(1, 13)}


@pytest.fixture
def worth(tiny_artifact: Path) -> Worth:
    content = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    return Worth.model_validate(content["worth"])


def test_known_season_is_told_with_its_numbers_and_drawn(worth: Worth) -> None:
    season = Season(
        factor=1.62,
        low=1.4,
        high=1.9,
        learned_from=(date(2022, 1, 1), date(2024, 1, 1)),
        months=MONTHS,
        cutoff=date(2024, 1, 1),
        year_ago=1.7,
        growth=-0.05,
        growth_low=-0.08,
        growth_high=-0.02,
    )
    said, drawn = season_parts(worth.model_copy(update={"season": season}), 90)
    assert isinstance(said, Paragraph) and isinstance(drawn, Picture)
    for told in (
        "are in these numbers",
        "brought 1.70 times",
        "1.62 times (95 % interval 1.40 to 1.90)",
        "5 % less from year to year (95 % interval 8 % less to 2 % less)",
        "2022-01-01 to 2024-01-01",
    ):
        assert told in said.text


def test_unknown_season_says_that_it_is_not_in_the_forecast_and_why(worth: Worth) -> None:
    young = Season(why="the purchases begin on 2024-01-01")
    [said] = season_parts(worth.model_copy(update={"season": young}), 90)
    assert isinstance(said, Paragraph)
    assert "are not in this forecast: the purchases begin on 2024-01-01." in said.text


def test_growth_that_may_be_none_is_not_told_as_growth(worth: Worth) -> None:
    season = Season(
        months=MONTHS, cutoff=date(2024, 1, 1), growth=-0.02, growth_low=-0.12, growth_high=0.09
    )
    said, _ = season_parts(worth.model_copy(update={"season": season}), 90)
    assert isinstance(said, Paragraph)
    assert (
        "cannot be told from these data (2 % less, 95 % interval 12 % less to 9 % more)"
        in said.text
    )


def test_payments_of_plans_know_no_season(worth: Worth) -> None:
    def told(num_paid: int) -> str:
        paid = SegmentWorth(num_customers=num_paid, clv=10.0, spend=9.0)
        season = Season(factor=1.2, months=MONTHS, cutoff=date(2024, 1, 1))
        changed = worth.model_copy(update={"season": season, "standings": {"paid": paid}})
        parts = season_parts(changed, 90)
        assert isinstance(parts[0], Paragraph) and len(parts) == 1 + (
            num_paid < worth.num_customers
        )
        return parts[0].text

    assert "The 3 customers of whom a plan" in told(3)
    assert told(worth.num_customers).startswith("Season and trend are not in these numbers")
    young = Season(why="the purchases begin on 2024-01-01")
    everybody = SegmentWorth(num_customers=worth.num_customers, clv=10.0, spend=9.0)
    changed = worth.model_copy(update={"season": young, "standings": {"paid": everybody}})
    [said] = season_parts(changed, 90)
    assert isinstance(said, Paragraph) and "decides" in said.text, "nor would more data tell it"
