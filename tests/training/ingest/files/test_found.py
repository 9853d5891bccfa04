"""What lies in a folder: read, named as not read, or refused by the name of its format."""

import bz2
import gzip
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tests.training.ingest.recipes import BASE, rows_of
from training.ingest.files.found import source_files, unread_files
from training.ingest.sources import Source, Table

CSV = "c,t,p\n{},2024-0{}-01,2.5\n"


def source(path: Path, **changes: object) -> Source:
    return Source.model_validate({"path": str(path), "columns": BASE, **changes})


def test_compressed_files_are_read_beside_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "2024-01.csv").write_text(CSV.format("a", 1))
    (tmp_path / "2024-02.csv.gz").write_bytes(gzip.compress(CSV.format("b", 2).encode()))
    (tmp_path / "2024-03.CSV.BZ2").write_bytes(bz2.compress(CSV.format("c", 3).encode()))
    packed = pa.compress(CSV.format("d", 4).encode(), codec="zstd", asbytes=True)
    (tmp_path / "2024-04.csv.zst").write_bytes(packed)
    assert rows_of(source(tmp_path))["customer_id"].to_list() == ["a", "b", "c", "d"]


def test_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lines.csv")
    with pytest.raises(ValueError, match="is a pipe or a device; write it into a file"):
        source_files(source(tmp_path / "lines.csv"))


def test_compressed_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(gzip.compress(CSV.format("a", 1).encode("utf-16")))
    assert rows_of(source(path, encoding="utf-16"))["customer_id"].to_list() == ["a"]
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match="lines.csv cannot be decompressed"):
        rows_of(source(path))


def test_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "notes.md", "sub/b.xlsx", "_SUCCESS"):
        (tmp_path / name).write_text("c,t,p\n")
    assert unread_files(source(tmp_path)) == ["_SUCCESS", "notes.md", "sub/b.xlsx"]
    assert unread_files(source(tmp_path / "a.csv")) == []
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"c,t,p\n"))
    assert unread_files(source(tmp_path / "*.csv")) == [str(tmp_path / "b.csv.gz")]
    assert unread_files(source(tmp_path / "*.csv*")) == []
    (tmp_path / "b.csv.gz").unlink()
    (tmp_path / "a.csv").unlink()
    with pytest.raises(ValueError, match="no csv file in that folder; it holds .*'notes.md'"):
        source_files(source(tmp_path))


@pytest.mark.parametrize(
    ("marker", "meaning"),
    [
        ("_delta_log/0.json", "a Delta table"),
        ("metadata/v1.metadata.json", "an Iceberg table"),
        (".hoodie/x", "a Hudi table"),
        ("_temporary/0/x.parquet", "the output of a Spark job that has not ended"),
    ],
)
def test_formats_with_files_of_their_own_are_refused_by_name(
    tmp_path: Path, marker: str, meaning: str
) -> None:
    folder = tmp_path / "orders"
    (folder / marker).parent.mkdir(parents=True)
    (folder / marker).write_text("{}")
    pl.DataFrame({"c": [1]}).write_parquet(folder / "part-0.parquet")
    with pytest.raises(ValueError, match=f"orders is {meaning}"):
        source_files(Table(path=str(tmp_path), format="parquet", columns={}))


def test_values_in_names_of_folders_are_columns(tmp_path: Path) -> None:
    for day, shop in (("2024-01-31", "Z%C3%BCrich"), ("2024-02-01", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / f"day={day}" / f"shop={shop}"
        folder.mkdir(parents=True)
        pl.DataFrame({"c": [1], "p": [2.5]}).write_parquet(folder / "part-0.parquet")
    columns = BASE | {"occurred_at": "day", "text": "shop"}
    rows = rows_of(source(tmp_path, format="parquet", columns=columns))
    assert rows["occurred_at"].dt.strftime("%Y-%m-%d").to_list() == ["2024-01-31", "2024-02-01"]
    assert rows["text"].to_list() == ["Zürich", None]


@pytest.mark.parametrize(
    ("head", "meaning"),
    [
        (b"PK\x03\x04rest", "a zip archive or an Excel workbook; .*; unpack it, or export CSV"),
        (b"PAR1rest", "a Parquet file; .*; say `format: parquet`"),
        (b"\xfd7zXZ\0rest", "compressed with xz; .*; unpack it, or pack it with gzip"),
    ],
)
def test_files_of_another_format_are_refused_by_their_first_bytes(
    tmp_path: Path, head: bytes, meaning: str
) -> None:
    (tmp_path / "orders.csv").write_bytes(head)
    with pytest.raises(ValueError, match=f"orders.csv is {meaning}"):
        source_files(source(tmp_path / "orders.csv"))


@pytest.mark.parametrize("path", ["*.parquet", "a.parquet", "day=1"])
def test_files_of_a_table_format_are_refused_however_they_are_named(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "orders" / "_delta_log").mkdir(parents=True)
    (tmp_path / "orders" / "day=1").mkdir()
    for name in ("a.parquet", "day=1/a.parquet"):
        pl.DataFrame({"c": [1]}).write_parquet(tmp_path / "orders" / name)
    with pytest.raises(ValueError, match="orders is a Delta table"):
        source_files(Table(path=f"{tmp_path}/orders/{path}", format="parquet", columns={}))


def test_hidden_and_empty_files_beside_others_are_named_and_not_read(tmp_path: Path) -> None:
    for name in ("a.csv", ".ipynb_checkpoints/a-checkpoint.csv", "__MACOSX/._a.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CSV.format("a", 1))
    (tmp_path / "part-1.csv").write_text("")
    assert [file.name for file in source_files(source(tmp_path))] == ["a.csv"]
    assert len(unread_files(source(tmp_path))) == 3


def test_links_are_followed_to_files_and_named_otherwise(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "2022.csv").write_text(CSV.format("a", 1))
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "2024.csv").write_text(CSV.format("b", 2))
    (folder / "2022.csv").symlink_to("../archive/2022.csv")
    (folder / "2023").symlink_to("../archive")
    (folder / "notes.md").symlink_to("nowhere")
    (folder / ".#2024.csv").symlink_to("lock-of-an-editor")
    assert [file.name for file in source_files(source(folder))] == ["2022.csv", "2024.csv"]
    assert unread_files(source(folder)) == [
        ".#2024.csv (a link to lock-of-an-editor)",
        "2023 (a link to ../archive)",
        "notes.md (a link to nowhere)",
    ]


@pytest.mark.parametrize("path", ["", "*.csv", "2023.csv"])
def test_broken_link_among_the_files_of_a_table_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "2024.csv").write_text(CSV.format("a", 1))
    (tmp_path / "2023.csv").symlink_to("nowhere/2023.csv")
    told = "2023.csv is a link to nowhere/2023.csv, which does not exist"
    with pytest.raises(ValueError, match=told):
        source_files(source(tmp_path / path))
