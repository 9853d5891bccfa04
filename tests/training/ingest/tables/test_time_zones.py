"""Local times, changes of the clock, names of zones, and dates that have none."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.schema import order_key
from lifecycle.events.shards import read_data_manifest
from tests.training.ingest.recipes import LOG, log, recipe, run
from tests.training.ingest.tables.columns import column, instant
from training.ingest.tables.parsing import (
    RawColumn,
)
from training.ingest.tables.times import are_midnights, are_midnights_of, parse_times


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


def test_a_mark_tells_where_a_zero_is_missing() -> None:
    texts = ["20240115 9:30", "20240115 09:30"]
    assert (
        parse_times(column(texts), "%Y%m%d %H:%M", "UTC").to_list()
        == [instant(2024, 1, 15, 9, 30)] * 2
    )
    assert parse_times(column(["5Jan2024"]), "%d%b%Y", "UTC").to_list() == [instant(2024, 1, 5)]
    short = column(["2024115 09:30", "2024015 9:30"])
    assert parse_times(short, "%Y%m%d %H:%M", "UTC").to_list() == [None, None]


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


@pytest.mark.parametrize(
    ("values", "date_format", "are_dates"),
    [
        (["2024-03-01 00:00:00", "2024-03-02T00:00"], None, True),
        ([datetime(2024, 3, 1), None, datetime(2024, 3, 2)], None, True),
        (["01.03.2024 00:00", ""], "%d.%m.%Y %H:%M", True),
        ([date(2024, 3, 1)], None, True),
        (["2024-03-01 00:00:00", "2024-03-02 00:00:01"], None, False),
        (["2024-03-01T00:00:00Z"], None, False),  # an instant, whatever the hour
        (["2024-03-01 00:00:00+01:00"], None, False),
        (["01.03.2024 00:00 CET"], "%d.%m.%Y %H:%M %Z", False),
        (["01.03.2024 00:00 +0100"], "%d.%m.%Y %H:%M %z", False),
        (["1709251200"], "epoch_s", False),
        ([datetime(2024, 3, 1, tzinfo=UTC)], None, False),
    ],
)
def test_times_that_are_all_midnights_are_dates(
    values: list[object], date_format: str | None, are_dates: bool
) -> None:
    assert are_midnights(column(values), date_format) is are_dates


@pytest.mark.parametrize(
    ("values", "date_format", "expected"),
    [
        (["2024-02-29T23:00:00Z", "2024-07-01T22:00:00.000Z", ""], None, True),  # of JavaScript
        (["2024-03-01T00:00:00+01:00"], None, True),
        (["1709247600"], "epoch_s", True),
        ([datetime(2024, 2, 29, 23, tzinfo=UTC), None], None, True),  # of Spark
        (["2024-02-29T23:00:00Z", "2024-02-29T23:00:01Z"], None, False),
        (["2024-03-01T00:00:00Z"], None, False),
        (["2024-03-01 00:00:00"], None, False),
        ([""], "%d.%m.%Y %z", False),
    ],
)
def test_dates_that_a_program_took_for_times_are_seen(
    values: list[object], date_format: str | None, expected: bool
) -> None:
    assert are_midnights_of(column(values), date_format, "Europe/Berlin") is expected


def test_instants_that_are_all_midnights_of_the_shop_are_kept_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = log(tmp_path / "x.csv", "1,2024-03-01T00:00:00+01:00,A,5", timezone="Europe/Berlin")
    events, _ = run(recipe(tmp_path / "data", source))
    assert events["occurred_at"].to_list() == [instant(2024, 2, 29, 23)]
    assert "x.csv: its times are all midnights of Europe/Berlin" in caplog.text


def test_a_ledger_of_midnights_keeps_its_dates(tmp_path: Path) -> None:
    ledger = pl.DataFrame({"c": ["1", "1"], "t": [datetime(2024, 3, 1), datetime(2024, 3, 2)]})
    ledger.with_columns(a=5.0).write_parquet(tmp_path / "ledger.parquet")
    source = {
        "path": str(tmp_path / "ledger.parquet"),
        "format": "parquet",
        "timezone": "Europe/Berlin",
        "columns": {"customer_id": "c", "occurred_at": "t", "amount": "a"},
    }
    events, _ = run(recipe(tmp_path / "data", source))
    assert events["occurred_at"].to_list() == [instant(2024, 3, 1), instant(2024, 3, 2)]
    assert events["shop_day"].to_list() == [None, None]
    assert read_data_manifest(tmp_path / "data").timezone == "Europe/Berlin"


def test_an_order_without_id_is_one_per_day_of_the_shop(tmp_path: Path) -> None:
    lines = [
        "1,2024-01-05 18:30,A,5",
        "1,2024-01-05 23:30,B,5",  # in New York the same evening, in UTC the next day
        "1,2024-01-05 19:00,C,5",  # midnight in UTC
        "1,2024-01-06,D,5",  # a date alone is that date
        "1,2024-1-6,D2,5",
        "1,2024-01-06 00:30,E,5",
    ]
    source = log(tmp_path / "log.csv", *lines, timezone="America/New_York")
    events, report = run(recipe(tmp_path / "data", source))
    orders = events.sort("item_id").select(order_key()).to_series()
    assert orders.to_list() == ["2024-01-05"] * 3 + ["2024-01-06"] * 3
    assert report["customers_by_orders"]["2"] == 1


def test_given_order_ids_and_those_of_refunds_stay(tmp_path: Path) -> None:
    source = log(
        tmp_path / "log.csv",
        "1,2024-01-05 18:30,A,5",
        "1,2024-01-05 20:30,A,-5",
        timezone="America/New_York",
        kind={"sql": "CASE WHEN a < 0 THEN 'refund' ELSE 'purchase' END"},
    )
    columns = LOG | {"order_id": {"sql": "CASE WHEN i = 'B' THEN 'O-1' END"}}
    other = log(tmp_path / "other.csv", "1,2024-01-05 18:30,B,5", timezone="America/New_York")
    events, _ = run(recipe(tmp_path / "data", source, other | {"columns": columns}))
    kept = {
        (item, kind): order
        for item, kind, order in events.select("item_id", "kind", "order_id").iter_rows()
    }
    assert kept == {
        ("A", "purchase"): None,
        ("A", "refund"): None,
        ("B", "purchase"): "O-1",
    }
