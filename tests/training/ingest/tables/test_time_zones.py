"""Local times, changes of the clock, names of zones, and dates that have none."""

from datetime import date, datetime

import polars as pl
import pytest

from tests.training.ingest.tables.columns import column, instant
from training.ingest.tables.parsing import (
    RawColumn,
    parse_times,
)


def test_local_times_around_both_changes_of_the_clock() -> None:
    texts = [
        "2024-03-31 01:30:00",
        "2024-03-31 02:30:00",
        "2024-03-31 03:30:00",
        "2024-10-27 02:30:00",
        "2024-07-01",
    ]
    expected = [
        instant(2024, 3, 31, 0, 30),
        instant(2024, 3, 31, 1, 30),  # does not exist: an hour later, 03:30 in summer time
        instant(2024, 3, 31, 1, 30),
        instant(2024, 10, 27, 0, 30),  # occurs twice: the first, in summer time
        instant(2024, 7, 1),  # a date has no zone
    ]
    assert parse_times(column(texts), None, "Europe/Berlin").to_list() == expected


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "America/Sao_Paulo", "UTC"])
def test_dates_without_a_time_are_the_same_dates_in_every_zone(timezone: str) -> None:
    expected = [instant(2018, 11, 4), instant(2018, 11, 5)]
    days = column([date(2018, 11, 4), date(2018, 11, 5)])
    assert parse_times(days, None, timezone).to_list() == expected
    for texts, date_format in (
        (["2018-11-04", "2018-11-05"], None),
        (["04.11.2018", "05.11.2018"], "%d.%m.%Y"),
        (["Nov 4 18", "Nov 5 18"], "%b %e %y"),
    ):
        assert parse_times(column(texts), date_format, timezone).to_list() == expected


def test_midnight_that_the_clock_skips() -> None:
    midnight = column([datetime(2018, 11, 4), datetime(2018, 11, 5)])  # Sao Paulo went to 01:00
    assert parse_times(midnight, None, "America/Sao_Paulo").to_list() == [
        instant(2018, 11, 4, 3),
        instant(2018, 11, 5, 2),
    ]


def test_names_of_zones_say_which_of_two_hours_is_meant() -> None:
    texts = [
        "2024-11-03 01:30 PDT",
        "2024-11-03 01:30 PST",
        "2024-07-01 12:00 UTC",
        "2024-07-01 12:00 PST",  # in summer nobody there has it
        "2024-07-01 12:00 CET",
        None,
    ]
    found = parse_times(column(texts), "%Y-%m-%d %H:%M %Z", "America/Los_Angeles").to_list()
    expected = [instant(2024, 11, 3, 8, 30), instant(2024, 11, 3, 9, 30), instant(2024, 7, 1, 12)]
    assert found == [*expected, None, None, None]
    assert parse_times(column(texts[:1]), "%Y-%m-%d %H:%M %Z", "UTC").to_list() == [None]
    offset = column(["2024-01-01 10:00:00 -0500 EST"])
    found = parse_times(offset, "%Y-%m-%d %H:%M:%S %z %Z", "America/New_York")
    assert found.to_list() == [instant(2024, 1, 1, 15)]
    together = column(["2024-01-01T10:00:00Z", "2024-07-01T10:00:00CEST"])
    found = parse_times(together, "%Y-%m-%dT%H:%M:%S%Z", "Europe/Berlin")
    assert found.to_list() == [instant(2024, 1, 1, 10), instant(2024, 7, 1, 8)]


def test_a_time_with_its_own_zone_keeps_it() -> None:
    assert parse_times(column(["2024-07-01T10:00:00Z"]), None, "Europe/Berlin").item() == instant(
        2024, 7, 1, 10
    )
    zoned = pl.Series("x", [datetime(2024, 7, 1, 10)]).dt.replace_time_zone("Asia/Tokyo")
    assert parse_times(RawColumn(zoned, zoned, "x"), None, "Europe/Berlin").item() == instant(
        2024, 7, 1, 1
    )
