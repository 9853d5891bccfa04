"""Values that are no dates are told with the key that helps; numbers in another unit are refused."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import LOG, log, recipe, run
from training.ingest.job import ingest


@pytest.mark.parametrize(
    ("value", "date_format", "message"),
    [
        ("45292", None, r"days as Excel counts them are \{sql: \"\(x - 25569\) \* 86400\"\}"),
        ("45292.5", None, "Excel"),
        ("20240105", None, "say date_format: '%Y%m%d'"),
        ("1704067200", None, "say date_format: epoch_s"),
        ("1704067200000", None, "say date_format: epoch_ms"),
        ("2024-05-01 10:12:33 UTC", None, "say date_format: '%Y-%m-%d %H:%M:%S %Z'"),
        ("5.1.2024", None, "say date_format, such as"),
        ("0000-00-00 00:00:00", None, "make it one of null_values"),
        ("9999-12-31", None, "make it one of null_values"),
        ("31.12.9999", "%d.%m.%Y", "make it one of null_values"),
        ("00000000", "%Y%m%d", "make it one of null_values"),
        ("2024105", "%Y%d%m", "need their zeros: write 0105, not 105"),  # 1 May or 10 May
        ("2024111", "%Y%m%d", "need their zeros"),
        ("2024115T103000Z", "%Y%m%dT%H%M%S%#z", "need their zeros"),
        ("20240115 930", "%Y%m%d %H%M", "need their zeros"),
        ("1704067200000", "epoch_s", "say epoch_ms"),
        ("1704067200000000", "epoch_ms", r"\{sql: \"x / 1000\"\}"),
        # All of a file in the first months of 1970.
        ("45292", "epoch_s", "all times lie before 1970-01-01 12:34; days as Excel counts them"),
        ("19723", "epoch_s", r"days since 1970 are \{sql: \"x \* 86400\"\}"),
        ("45292", "epoch_ms", "days as Excel counts them"),
        ("1704067200", "epoch_ms", "say epoch_s where they are seconds"),
    ],
)
def test_numbers_and_other_dates_name_the_key_that_helps(
    tmp_path: Path, value: str, date_format: str | None, message: str
) -> None:
    source = log(tmp_path / "x.csv", f"1,{value},A,5", date_format=date_format)
    with pytest.raises(ValueError, match=message):
        ingest(recipe(tmp_path / "data", source))


def test_days_as_excel_counts_them_by_the_remedy(tmp_path: Path) -> None:
    columns = LOG | {"occurred_at": {"sql": "(t - 25569) * 86400"}}
    source = log(tmp_path / "x.csv", "1,45292.5,A,5", date_format="epoch_s", columns=columns)
    events, _ = run(recipe(tmp_path / "data", source))
    assert events["occurred_at"][0].replace(tzinfo=None) == datetime(2024, 1, 1, 12)


def test_typed_times_of_another_unit_are_refused_and_a_date_of_1970_is_not(tmp_path: Path) -> None:
    rows = pl.DataFrame({"c": ["1"], "t": [datetime(1970, 1, 20, 17)], "i": ["A"], "a": [5]})
    rows.write_parquet(tmp_path / "x.parquet")
    source = {"path": str(tmp_path / "x.parquet"), "format": "parquet", "columns": LOG}
    with pytest.raises(ValueError, match="all times lie before 1970-01-20; were they"):
        ingest(recipe(tmp_path / "data", source))
    old = log(tmp_path / "x.csv", "1,1970-01-20 17:00,A,5")
    assert run(recipe(tmp_path / "data", old))[0].height == 1


def test_format_without_a_year_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no year"):
        recipe(tmp_path / "data", log(tmp_path / "x.csv", "1,0501,A,5", date_format="%d%m"))
