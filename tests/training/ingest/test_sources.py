import re
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from lifecycle.paths import resolve_path
from training.ingest.files.found import source_files
from training.ingest.sources import Source, Sql, Table, table_values

COLUMNS = {"customer_id": "c", "occurred_at": "t"}


def test_file_folder_and_glob_in_name_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.parquet", "notes.md", "sub/d.TXT"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")

    def names(path: str) -> list[str]:
        return [file.name for file in source_files(Table(path=f"{tmp_path}/{path}", columns={}))]

    assert names("a.csv") == ["a.csv"]
    assert names("") == ["a.csv", "b.csv", "d.TXT"]
    assert names("*.csv") == ["a.csv", "b.csv"]
    assert names("**/*.TXT") == ["d.TXT"]


def test_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    (tmp_path / "lines[2024].csv").write_text("x\n1\n")
    assert len(source_files(Table(path=f"{tmp_path}/lines[2024].csv", columns={}))) == 1


def test_nothing_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file, or no parquet file"):
        source_files(Table(path=str(tmp_path), format="parquet", columns={}))
    with pytest.raises(ValueError, match="nothing.csv.*no such file"):
        source_files(Table(path=str(tmp_path / "nothing.csv"), columns={}))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="empty.csv is empty"):
        source_files(Table(path=str(tmp_path), columns={}))


def test_file_that_is_not_parquet_or_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"c": range(1000)}).write_parquet(path)
    table = Table(path=str(path), format="parquet", columns={})
    assert source_files(table) == [path]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="x.parquet is not a Parquet file, or is cut off"):
        source_files(table)
    path.write_text("customer_id,amount\n1,2\n")
    with pytest.raises(ValueError, match="x.parquet is not a Parquet file"):
        source_files(table)


def test_package_paths_do_not_import_the_package() -> None:
    assert resolve_path("package:pydantic/main.py").is_file()
    with pytest.raises(ValueError, match="'no_such_package' is not installed"):
        resolve_path("package:no_such_package/x.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {**COLUMNS, "ammount": "x"}}, "unknown event column 'ammount'"),
        ({"columns": {"customer_id": "c"}}, "needs occurred_at"),
        ({"columns": {"occurred_at": "t"}}, "needs customer_id"),
        ({"delimiter": "||"}, "one character"),
        ({"timezone": "Mars/Olympus"}, "no such time zone"),
        ({"date_format": "%Y-%m-%d %H:%M %p"}, "both 12-hour .* Hours before AM or PM are %I"),
        ({"columns": COLUMNS | {"amount": date(2024, 1, 1)}}, "2024-01-01 is .* in quotes"),
        ({"skip_rows": -1}, "greater than or equal to 0"),
        ({"kind": "purchase", "columns": {**COLUMNS, "kind": "k"}}, "kind is given twice"),
        ({"lookup": {"path": "x", "columns": {}}}, "need each other"),
        ({"format": "xlsx"}, "'csv', 'parquet' or 'json'"),
    ],
)
def test_recipe_that_cannot_mean_anything(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Source.model_validate({"path": "x.csv", "columns": COLUMNS} | changes)


def test_every_value_has_a_dotted_name() -> None:
    required = ["columns.customer_id", "columns.occurred_at"]
    conditions = {"zero": {"sql": "p > 0"}, "test": True}
    source = Source.model_validate({"path": "x", "columns": COLUMNS, "filter": conditions})
    assert list(table_values(source)) == [*required, "kind", "filter.zero", "filter.test"]
    source = Source.model_validate(
        {"path": "x", "columns": {**COLUMNS, "kind": "k"}, "filter": "ok"}
    )
    assert list(table_values(source)) == [*required, "columns.kind", "filter"]


def test_filter_of_one_expression_is_not_a_map_of_reasons() -> None:
    source = Source.model_validate({"path": "x", "columns": COLUMNS, "filter": {"sql": "p > 0"}})
    assert source.filter == Sql(sql="p > 0")
    assert Source.model_validate(source.model_dump(mode="json")) == source


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS | {"kind": "k"}])
def test_saved_source_loads_again(columns: dict[str, str]) -> None:
    source = Source.model_validate({"path": "x.csv", "columns": columns})
    assert Source.model_validate(source.model_dump(mode="json")) == source
    purchase = Sql(sql="'purchase'")
    assert table_values(source).get("kind") == (None if "kind" in columns else purchase)


@pytest.mark.parametrize(
    ("date_format", "timezone", "zone"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "Europe/Berlin", "Z"),
        ("%d.%m.%Y %H:%M UTC", "Asia/Tokyo", "UTC"),
        ("%Y-%m-%d %H:%M:%S PST", "UTC", "PST"),
        ("%Y-%m-%d %H:%M EST", "America/New_York", "EST"),
        ("%Y-%m-%dT%H:%M:%S+02:00", "UTC", "+02:00"),
        ("%d/%m/%Y %H:%M CEST", "UTC", "CEST"),
    ],
)
def test_zone_in_plain_letters_is_refused(date_format: str, timezone: str, zone: str) -> None:
    columns = {"customer_id": "c", "occurred_at": "d", "amount": "a"}
    with pytest.raises(ValueError, match=f"has '{re.escape(zone)}' as plain letters"):
        Source(path="x.csv", columns=columns, date_format=date_format, timezone=timezone)


@pytest.mark.parametrize(
    ("date_format", "timezone"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "UTC"),
        ("%Y-%m-%dT%H:%M:%S%#z", "Europe/Berlin"),
        ("%Y-%m-%d %H:%M:%S %Z", "America/New_York"),
        ("%d. %B %Y, %H:%M Uhr", "Europe/Berlin"),
        ("%Y-%m-%dT%H:%M", "Asia/Tokyo"),
        ("%d-%m-%Y", "UTC"),
        ("%Y%m%d", "UTC"),
        ("epoch_s", "Europe/Berlin"),
    ],
)
def test_other_formats_are_let_through(date_format: str, timezone: str) -> None:
    columns = {"customer_id": "c", "occurred_at": "d", "amount": "a"}
    Source(path="x.csv", columns=columns, date_format=date_format, timezone=timezone)
