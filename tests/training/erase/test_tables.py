"""Files without the rows of erased customers: what stays, stays byte for byte."""

import json
from pathlib import Path

import polars as pl

from lifecycle.erasure.tombstones import ErasedIds
from training.audience.spreadsheet import write_spreadsheet_csv
from training.erase.tables import Sweep, clean_csv, clean_json, clean_json_lines, clean_parquet


def test_rows_of_a_table_go_and_order_and_groups_stay(tmp_path: Path, erased: ErasedIds) -> None:
    rows = pl.DataFrame({"n": range(9), "customer_id": ["c", "7", None] * 3})
    rows.write_parquet(tmp_path / "old.parquet", row_group_size=2)
    sweep = Sweep(erased)
    clean_parquet(tmp_path / "old.parquet", tmp_path / "new.parquet", sweep)
    left = pl.read_parquet(tmp_path / "new.parquet")
    assert left.equals(rows.filter(rows["customer_id"].is_null() | (rows["customer_id"] == "c")))
    assert (list(sweep.rows.values()), sweep.ids) == ([3], {"7"})
    clean_parquet(tmp_path / "new.parquet", tmp_path / "same.parquet", Sweep(erased))
    assert (tmp_path / "same.parquet").samefile(tmp_path / "new.parquet")


def test_records_of_a_csv_file_keep_every_byte(tmp_path: Path, erased: ErasedIds) -> None:
    lines = [
        '"a\r\nb",customer_id\r\n',
        '"two\r\nlines",c\r\n',
        '1,"é, 2"\r\n',
        "2.50,7\r\n",
        "3,c",
    ]
    (tmp_path / "old.csv").write_bytes("".join(lines).encode())
    sweep = Sweep(erased)
    clean_csv(tmp_path / "old.csv", tmp_path / "new.csv", sweep)
    assert (tmp_path / "new.csv").read_bytes().decode() == lines[0] + lines[1] + lines[4]
    assert sweep.ids == {"é, 2", "7"}


def test_ids_that_spreadsheets_would_run_are_found(tmp_path: Path, erased: ErasedIds) -> None:
    rows = pl.DataFrame({"customer_id": ["=b", "a"], "clv": [1.5, -2.0]})
    write_spreadsheet_csv(rows, tmp_path / "old.csv")
    clean_csv(tmp_path / "old.csv", tmp_path / "new.csv", Sweep(erased))
    assert (tmp_path / "new.csv").read_text() == '"customer_id","clv"\n"a",-2.0\n'


def test_quotes_within_an_id_and_other_separators_are_found(
    tmp_path: Path, erased: ErasedIds
) -> None:
    rows = pl.DataFrame({"customer_id": ["a;-x", "a"], "clv": [1.5, -2.0]})
    write_spreadsheet_csv(rows, tmp_path / "old.csv")
    assert "a;'-x" in (tmp_path / "old.csv").read_text()
    clean_csv(tmp_path / "old.csv", tmp_path / "new.csv", Sweep(erased))
    assert (tmp_path / "new.csv").read_text() == '"customer_id","clv"\n"a",-2.0\n'
    (tmp_path / "old.csv").write_text("clv;customer_id\n1,5;7\n2;a\n")
    clean_csv(tmp_path / "old.csv", tmp_path / "new.csv", Sweep(erased))
    assert (tmp_path / "new.csv").read_text() == "clv;customer_id\n2;a\n"


def test_objects_of_json_go_with_what_is_in_them(tmp_path: Path, erased: ErasedIds) -> None:
    one, other = {"customer_id": "7", "x": [1]}, {"customer_id": "c", "inner": {"customer_id": "7"}}
    told = {"list": [one, other, "7"], "7": 1, "answer": {"customers": [one]}}
    (tmp_path / "old.json").write_text(json.dumps(told))
    sweep = Sweep(erased)
    clean_json(tmp_path / "old.json", tmp_path / "new.json", sweep)
    left = json.loads((tmp_path / "new.json").read_text())
    assert left == {"list": [{"customer_id": "c"}, "7"], "7": 1, "answer": {"customers": []}}
    assert sum(sweep.rows.values()) == 3
    (tmp_path / "old.jsonl").write_text(f"{json.dumps(one)}\n\n{json.dumps(other)}\n")
    clean_json_lines(tmp_path / "old.jsonl", tmp_path / "new.jsonl", sweep)
    assert (tmp_path / "new.jsonl").read_text() == f"\n{json.dumps(other)}\n"
    (tmp_path / "old.json").write_text(json.dumps(one))
    clean_json(tmp_path / "old.json", tmp_path / "gone.json", sweep)
    assert not (tmp_path / "gone.json").exists()
