"""CSV files that do not have the columns of their recipe: the message says what they look like, and which key helps."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.training.ingest.recipes import BASE, Read
from training.ingest.files.readers import schema_of
from training.ingest.sources import Source

ROWS = "c,t,p\n1,2024-01-01,2\n"
SEMICOLONS = ROWS.replace(",", ";")
NO_HEADER = {
    "has_header": False,
    "columns": {"customer_id": "column_1", "occurred_at": "column_2", "amount": "column_3"},
}


def packed(content: str) -> bytes:
    """A tar archive of one file, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        found = tarfile.TarInfo("lines.csv")
        found.size = len(content)
        archive.addfile(found, io.BytesIO(content.encode()))
    return gzip.compress(buffer.getvalue())


@pytest.mark.parametrize(
    ("content", "changes", "hint"),
    [
        ("sep=;\n" + SEMICOLONS, {}, 'has it in line 2; say `skip_rows: 1` and `delimiter: ";"`'),
        ("sep=;\n" + SEMICOLONS, {"delimiter": ";"}, "has it in line 2; say `skip_rows: 1`"),
        ("x\nsep=;\n" + SEMICOLONS, {"skip_rows": 1}, 'say `skip_rows: 2` and `delimiter: ";"`'),
        ("# by shop\n# 2024\n" + ROWS, {}, "has it in line 3; say `skip_rows: 2`"),
        ("Orders, March\n\n" + ROWS, {}, "has it in line 3; say `skip_rows: 2`"),
        (SEMICOLONS, {}, 'has it in line 1; say `delimiter: ";"`'),
        (ROWS.replace(",", "\t"), {}, 'has it in line 1; say `delimiter: "\\\\t"`'),
        ("k;t;p\n1;2024-01-01;2\n", {}, "has no ',' in its first line; say `delimiter: \";\"`"),
        ("1|2024-01-01|2\n", NO_HEADER, 'first line; say `delimiter: "[|]"`'),
        ("# by shop\n1,2024-01-01,2\n", NO_HEADER, "begins with '# by shop'; say `skip_rows: 1`"),
        ("sep=;\n1;2024-01-01;2\n", NO_HEADER, 'say `skip_rows: 1` and `delimiter: ";"`'),
        ("\n<!DOCTYPE html>\n<html><body></body></html>\n", {}, "is an HTML page; export CSV"),
        ('<?xml version="1.0"?><Workbook></Workbook>', {}, "is XML; export CSV"),
        ('{"c": 1, "t": "2024-01-01"}\n', {}, "is JSON; say `format: json`"),
        ("c,t,p\r1,2024-01-01,2\r", {}, "is text whose lines end with carriage returns alone"),
        (packed(ROWS), {}, "is a tar archive; unpack it"),
    ],
)
def test_what_the_file_looks_like_is_told_with_the_key_that_helps(
    read: Read, content: str | bytes, changes: dict[str, object], hint: str
) -> None:
    with pytest.raises(ValueError, match=f"unknown column '.*': .*lines.csv .*{hint}"):
        read(content, **changes)


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        ('{"c":1,"t":"2024-01-01","p":2}\n', "JSON"),
        ('<table a="1","b">\n', "an HTML page"),
    ],
)
def test_what_the_csv_module_cannot_read_is_told_by_its_look(
    tmp_path: Path, content: str, meaning: str
) -> None:
    file = tmp_path / "lines.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=f"lines.csv is {meaning}"):
        schema_of(Source.model_validate({"path": str(file), "columns": BASE}), file)


def test_returns_alone_that_end_lines_are_told_where_the_header_has_all_columns(read: Read) -> None:
    with pytest.raises(ValueError, match="lines end with carriage returns alone"):
        read("c,t,p,x\r1,2024-01-01,2,y\r")


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("c,t,p\n1,2024-01-01,2\nweb,2024-01-01,2\n", {"text": "web"}),
        ("c,t,q\n1,2024-01-01,2\n", {}),
    ],
)
def test_column_that_is_missing_from_any_line_is_told_as_it_is(
    read: Read, content: str, columns: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="unknown column .*lines.csv has .'c', 't'"):
        read(content, columns=BASE | columns)


def test_a_header_with_escaped_quotes_is_no_line_above_the_names(read: Read) -> None:
    content = '"two\nlines",c,t,"size (\\")",p\nx,1,2024-01-01,y,2\n'
    rows = read(content, escape="\\")
    assert rows["amount"].to_list() == [2.0]


def test_a_first_row_with_an_escaped_quote_tells_all_columns_of_a_file_without_header(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lines.csv"
    path.write_text("1|2024-01-01|'men\\'s shirt'|'x'|4\n2|2024-01-02|'cap'|'y'|5\n")
    columns = {"customer_id": "column_1", "occurred_at": "column_2", "amount": "column_5"}
    words = {"has_header": False, "delimiter": "|", "quote": "'", "escape": "\\"}
    source = Source.model_validate({"path": str(path), "columns": columns} | words)
    names = [f"column_{number}" for number in range(1, 6)]
    assert schema_of(source, path).names() == names
