"""Dates far from all others: set apart with their revenue, asked about where they are many, overruled by the recipe."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import log, recipe, run
from training.ingest.dates import Span, lonely_dates, span_of, thin_end

START = date(2024, 1, 1)


def shop(
    num_days: int = 700, rows: int = 2, every: int = 1, start: date = START
) -> dict[date, int]:
    """Rows on each day, or each `every` days."""
    return {start + timedelta(days=day): rows for day in range(0, num_days, every)}


def ends(rows_by_day: dict[date, int], **recipe_dates: date) -> tuple[date, date]:
    span = span_of(rows_by_day, rows_by_day, recipe_dates.get("first"), recipe_dates.get("last"))
    return span.first, span.last


@pytest.mark.parametrize("far", [date(1970, 1, 1), date(2032, 5, 1), date(2026, 3, 15)])
@pytest.mark.parametrize("rows", [1, 14])
def test_few_rows_behind_a_long_gap_are_set_apart(far: date, rows: int) -> None:
    days = shop()
    assert ends(days | {far: rows}) == (START, START + timedelta(days=699))


def test_both_ends_and_several_gaps_at_once() -> None:
    days = shop() | {
        date(1970, 1, 1): 2,
        date(2000, 1, 1): 3,
        date(2032, 1, 1): 1,
        date(2099, 1, 1): 1,
    }
    assert ends(days) == (START, START + timedelta(days=699))


@pytest.mark.parametrize("apart", [15, 60, 89])
def test_a_chain_of_single_days_at_the_end_is_set_apart(apart: int) -> None:
    last = START + timedelta(days=699)
    chain = {last + timedelta(days=apart * number): 1 for number in range(1, 14)}
    assert ends(shop() | chain) == (START, last)
    assert ends(shop() | chain | {date(2099, 1, 1): 1}) == (START, last)
    assert ends(shop() | chain, last=max(chain)) == (START, max(chain)), "the recipe overrules it"
    two_each = dict.fromkeys(chain, 2)
    assert ends(shop() | two_each)[1] == max(chain), "more than one row in a hundred"


def test_a_shop_that_rests_every_summer_has_no_chain_in_its_last_one() -> None:
    summer = {START + timedelta(days=day): 1 for day in range(240, 340, 20)}
    winter = shop(240) | shop(240, start=START + timedelta(days=340))
    this_year = {day + timedelta(days=340): rows for day, rows in summer.items()}
    assert ends(winter | summer | this_year)[1] == max(this_year)
    assert ends(winter | this_year)[1] == max(this_year), "it was closed the summer before"


@pytest.mark.parametrize("rows", [20, 60])
def test_more_than_one_in_a_hundred_is_a_question(rows: int) -> None:
    days = shop() | {date(2032, 5, 1): rows}
    with pytest.raises(ValueError, match=f"{rows} of {1400 + rows} rows are dated from 2032-05-01"):
        ends(days)
    last = START + timedelta(days=699)
    assert ends(days, last=last) == (START, last)
    assert ends(days, last=date(2032, 5, 1))[1] == date(2032, 5, 1)


def test_seasons_and_rare_days_are_the_shops_own() -> None:
    seasons = shop(60) | shop(60, start=date(2024, 12, 1)) | shop(60, start=date(2025, 12, 1))
    assert ends(seasons) == (START, date(2025, 12, 1) + timedelta(days=59))
    monthly = shop(3000, rows=5, every=30) | {date(2032, 12, 1): 1}
    assert ends(monthly)[1] == date(2032, 12, 1), "287 days are less than ten of its gaps"
    closed = shop(300) | shop(300, start=date(2025, 1, 20))
    assert ends(closed)[1] == date(2025, 1, 20) + timedelta(days=299)


def test_of_few_rows_nothing_is_set_apart() -> None:
    assert ends({START: 40, date(2032, 1, 1): 1}) == (START, date(2032, 1, 1))
    assert ends({}) == (date.min, date.max)


def test_a_mistyped_year_among_few_rows_is_told() -> None:
    few = shop(30) | {date(2032, 1, 1): 2}
    told = lonely_dates(few, Span(START, date(2032, 1, 1)))
    assert told is not None and "and 2 from 2032-01-01 on" in told
    assert lonely_dates(few, Span(START, date(2030, 1, 1))) is None
    assert lonely_dates(shop(3000) | {date(2092, 1, 1): 2}, Span(START, date(2092, 1, 1))) is None
    alone = {START: 1, date(2032, 1, 1): 1}
    assert lonely_dates(alone, Span(START, date(2032, 1, 1))) is not None
    twice = alone | {date(2041, 1, 1): 1}
    assert lonely_dates(twice, Span(START, date(2041, 1, 1))) is None


def test_set_apart_rows_are_told_with_their_revenue_and_move_nothing(tmp_path: Path) -> None:
    lines = [f"{n % 30},{START + timedelta(days=n // 4)},i,10" for n in range(1200)]
    far = ["7,2032-05-01,i,70.5", "8,2032-05-02T10:00:00,i,29.5"]
    source = log(tmp_path / "lines.csv", *lines, *far)
    events, report = run(recipe(tmp_path / "data", source))
    assert events["occurred_at"].max().date() == START + timedelta(days=299)  # type: ignore[union-attr]
    assert report["rows_dropped"] == {"date_far_from_others": 2}
    assert report["far_dates"] == {
        "rows": 2,
        "revenue": 100.0,
        "first_at": "2032-05-01T00:00:00+00:00",
        "last_at": "2032-05-02T10:00:00+00:00",
    }
    assert report["days"] == 300
    kept, report = run(recipe(tmp_path / "kept", source, last_date="2032-05-02"))
    assert kept.height == 1202 and report["rows_dropped"] == {}
    cut, report = run(
        recipe(tmp_path / "cut", source, first_date="2024-02-01", last_date="2024-03-01")
    )
    assert (
        cut["occurred_at"].dt.date().unique().sort().to_list()
        == pl.date_range(date(2024, 2, 1), date(2024, 3, 1), eager=True).to_list()
    )
    assert set(report["rows_dropped"]) == {"before_first_date", "after_last_date"}  # type: ignore[call-overload]


def test_dates_of_the_recipe_are_in_order(tmp_path: Path) -> None:
    source = log(tmp_path / "lines.csv", "1,2024-01-01,i,1")
    with pytest.raises(ValueError, match="last_date 2024-01-01 lies before first_date 2024-02-01"):
        recipe(tmp_path / "data", source, first_date="2024-02-01", last_date="2024-01-01")


def test_rows_outside_the_dates_of_the_recipe_are_not_asked_about() -> None:
    days = shop(300, start=date(2015, 1, 1)) | shop(150, start=date(2023, 1, 1))
    assert ends(days, first=date(2023, 1, 1)) == (date(2023, 1, 1), date(2023, 5, 30))


def test_rows_that_are_set_apart_are_not_in_the_catalogue(tmp_path: Path) -> None:
    source = log(
        tmp_path / "lines.csv",
        *[f"{n % 9},{START + timedelta(days=n)},I,5" for n in range(300)],
        "1,1924-01-05,OLD,5",
        "1,2124-01-05,GHOST,5",
    )
    run(recipe(tmp_path / "data", source))
    assert pl.read_parquet(tmp_path / "data" / "items.parquet")["item_id"].to_list() == ["I"]


def test_views_do_not_outvote_purchases() -> None:
    bought = shop(100, 5, start=date(2023, 1, 1))
    viewed = shop(100, 600, start=date(2024, 6, 1))
    with pytest.raises(ValueError, match="500 of 60500 rows are dated up to 2023-04-10"):
        span_of(bought | viewed, bought, None, None)
    span = span_of(bought | viewed, {}, None, None)
    assert (span.first, span.last) == (date(2024, 6, 1), date(2024, 9, 8))


def test_an_end_of_hardly_any_rows_is_told() -> None:
    days = shop(180, 6)
    assert thin_end(days, Span(START, START + timedelta(days=179))) is None
    swapped = {date(2024, month, 5): 1 for month in range(7, 13)}
    told = thin_end(days | swapped, Span(START, date(2024, 12, 31)))
    assert (
        told is not None and "only 6 of 1086 rows are dated after 2024-06-28, over 160 days" in told
    )
    assert thin_end(days | swapped, Span(START, date(2024, 12, 31), last_is_given=True)) is None
    falling = {START + timedelta(days=day): 400 - day for day in range(400)}
    assert thin_end(falling, Span(START, date(2025, 12, 31))) is None


@pytest.mark.parametrize(
    ("date_format", "dates", "told"),
    [
        (
            "%d/%m/%y",
            [f"{1 + n % 28:02}/{1 + n % 12:02}/67" for n in range(120)],
            "are years read right?",
        ),
        (
            "%y-%m-%d",
            [f"{12 + n % 12}-{1 + n % 12:02}-24" for n in range(120)],
            "read days as years?",
        ),
        ("%d/%m/%y", [f"{1 + n % 28:02}/{1 + n % 12:02}/{14 + n % 9}" for n in range(120)], None),
    ],
)
def test_years_that_may_be_read_wrong_are_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    date_format: str,
    dates: list[str],
    told: str | None,
) -> None:
    lines = [f"c{n % 9},{day},i,5" for n, day in enumerate(dates)]
    source = log(tmp_path / "x.csv", *lines, date_format=date_format)
    run(recipe(tmp_path / "data", source))
    assert ("years" in caplog.text) == (told is not None)
    assert (told or "") in caplog.text
