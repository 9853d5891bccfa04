"""Rows that are equal have equal hashes in every file, others have not."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import BASE, recipe, run
from training.ingest.tables.row_hashes import row_hashes

NOON = datetime(2024, 1, 1, 12)


def hash_of(value: object, dtype: pl.DataType | type[pl.DataType] | None = None) -> int:
    return int(row_hashes(pl.DataFrame({"a": pl.Series([value], dtype=dtype)}))[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pl.Series([5]), pl.Series([5.0])),
        (pl.Series([5], dtype=pl.UInt8), pl.Series(["5"])),
        (pl.Series([2**53 + 1]), pl.Series([str(2**53 + 1)])),
        (pl.Series([19.99]), pl.Series([19.99], dtype=pl.Float32)),
        (pl.Series([19.5]), pl.Series([Decimal("19.50")])),
        (pl.Series([100]), pl.Series([Decimal("100")], dtype=pl.Decimal(9, 0))),
        (pl.Series([0.0]), pl.Series([-0.0])),
        (pl.Series([NOON], dtype=pl.Datetime("ms")), pl.Series([NOON], dtype=pl.Datetime("ns"))),
        (pl.Series([datetime(2024, 1, 1)]), pl.Series([date(2024, 1, 1)])),
        (pl.Series([b"caf\xc3\xa9"]), pl.Series(["café"])),
        (pl.Series([{"x": 1, "y": None}]), pl.Series([{"x": 1.0}])),
        (pl.Series([[1, 2]]), pl.Series([[1.0, 2.0]])),
    ],
)
def test_types_of_a_file_do_not_tell_rows_apart(one: pl.Series, other: pl.Series) -> None:
    assert row_hashes(pl.DataFrame({"a": one}))[0] == row_hashes(pl.DataFrame({"a": other}))[0]


def test_other_values_have_other_hashes() -> None:
    values = [
        b"\xff\x00",
        b"\xff\x01",
        "5",
        "5.0",
        "",
        None,
        [1, 2],
        [2, 1],
        [[1], [2]],
        {"x": 1},
        {"y": 1},
        NOON,
        2**53 + 1,
    ]
    hashes = [hash_of(value) for value in values]
    hashes += [hash_of(NOON.replace(tzinfo=UTC)), hash_of(float(2**53)), hash_of(True)]
    assert len(set(hashes)) == len(hashes)


def test_values_belong_to_their_columns() -> None:
    rows = pl.DataFrame({"a": [1, 2, None], "b": [2, 1, 1]})
    assert row_hashes(rows).n_unique() == 3
    swapped = rows.select(a="b", b="a")
    assert not set(row_hashes(rows)[:1]) & set(row_hashes(swapped)[:1])


def test_a_column_that_a_file_lacks_is_empty_there() -> None:
    rows = pl.DataFrame({"a": [1, 1], "b": [None, "x"]})
    lacking = pl.DataFrame({"a": [1, 1]})
    assert (row_hashes(rows) == row_hashes(lacking)).to_list() == [True, False]


def test_json_files_of_other_types_hold_the_same_rows(tmp_path: Path) -> None:
    """A column without values, of whole numbers, and of others."""
    folder = tmp_path / "lines"
    folder.mkdir()
    line = '{"c": 9, "t": "2024-01-01", "p": 5, "note": null}\n'
    (folder / "1.json").write_text(line)
    (folder / "2.json").write_text(line + '{"c": 8, "t": "2024-01-01", "p": 1.5, "note": 3}\n')
    (folder / "3.json").write_text(
        '{"t": "2024-01-01", "c": "9", "p": 5}\n{"t": "2024-01-02", "c": "x", "p": 7}\n'
    )
    keys = {"format": "json", "duplicates": "keep", "drop_exact_duplicates": True}
    source = {"path": str(folder), "columns": BASE, **keys}
    events, report = run(recipe(tmp_path / "data", source))
    assert sorted(events["amount"]) == [1.5, 5.0, 7.0]
    assert report["rows_dropped"] == {"exact_duplicate": 2}
