"""JSON that cannot be read is named by file, line, value and remedy, wherever it stands."""

import gzip
import json
from pathlib import Path

import pytest

from tests.training.ingest.recipes import BASE, rows_of
from training.ingest.sources import Source

GOOD = [json.dumps({"c": f"c{n}", "t": "2024-01-01", "p": n + 0.5}) for n in range(3)]


def rows(path: Path, content: bytes) -> int:
    """How many rows are read of a JSON file."""
    path.write_bytes(content)
    columns = BASE | {"text": "c"}
    return rows_of(
        Source.model_validate({"path": str(path), "format": "json", "columns": columns})
    ).height


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"c": "x", "t": "2024-01-01", "p": NaN}',
            "p is NaN, which is no JSON value; write null where there is no number",
        ),
        ('{"c": "x", "t": "2024-01-01", "p": -Infinity}', "p is -Infinity, which is no JSON value"),
        ('{"c": "x", "t": "2024-01-01", "p": 1e999}', "p is Infinity, which is no JSON value"),
        (
            '{"c": "x", "t": "2024-01-01", "p": [NaN]}',
            "not JSON: NaN is no JSON value; write null where there is no number (column 37)",
        ),
        (
            '{"c": "x", "p": 1',
            "not JSON: it ends before it is whole: a bracket is not closed (column 18); mend it, or export it anew",
        ),
        ('{"c": "x", "p": 1,}', "not JSON: a comma stands before the closing bracket at column 19"),
        ('{"c": "x", "p": 1},', "not JSON: more stands behind its end at column 19"),
        ('{"c": "x"}{"c": "y"}', "not JSON: more stands behind its end at column 11"),
        ('"hello"', '"hello", not an object; write one object a line, or one array of objects'),
        ("17", "17, not an object"),
        ("[1, 2]", "an array, not an object"),
        (
            '{"c": "x", "p": {"net": 1}}',
            "p is an object, and a number or text in line 1; a column holds values of one kind",
        ),
        (
            '{"c": "half \\ud83d an emoji", "p": 1}',
            "it holds \\ud83d, half of a surrogate pair, which is no character: write both halves",
        ),
        (
            '{"c": "x", "t": "2024-01-01", "p": 1, "p": 2}',
            "not JSON: an object has one key twice; readers differ in which of the two they take",
        ),
        ('{"c": "the other \\uDE00", "p": 1}', "it holds \\ude00, half of a surrogate pair"),
    ],
)
def test_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "lines.jsonl"
    with pytest.raises(ValueError) as caught:
        rows(path, "\n".join([*GOOD, line, *GOOD]).encode())
    assert str(caught.value).startswith(f"{path}, line 4: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", " is empty"),
        ("\n \n", " has no rows"),
        ("[]", " has no rows"),
        ('"hello"', ', line 1: "hello", not an object'),
        (
            json.dumps({"c": 1}, indent=1),
            ", line 1: an object that goes on over several lines; write one object a line",
        ),
        (
            "[" + ",\n".join(GOOD),
            ": not JSON: it ends before it is whole: a bracket is not closed (line 3, column ",
        ),
        (
            "[" + ",\n".join(GOOD) + ",]",
            ": not JSON: a comma stands before the closing bracket at line 3, column ",
        ),
        (
            "[" + ",\n".join([*GOOD, '{"p": NaN}]']),
            ": not JSON: NaN is no JSON value; write null where there is no number (line 4, column 7)",
        ),
        ("[" + ",\n".join([*GOOD, '"x"]']), ', entry 4: "x", not an object'),
        (
            "[" + ",\n".join([*GOOD, '{"c": "\\ud83d"}]']),
            ", line 4: it holds \\ud83d, half of a surrogate pair",
        ),
    ],
)
def test_file_that_holds_no_rows_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "lines.json"
    with pytest.raises(ValueError) as caught:
        rows(path, content.encode())
    assert str(caught.value).startswith(f"{path}{message}")


def test_kinds_that_polars_reads_together_are_not_blamed_for_a_fault_behind(tmp_path: Path) -> None:
    mixed = '{"c": "a", "t": "2024-01-01", "p": 1, "title": {"en": "tea"}}'
    plain = '{"c": "a", "t": "2024-01-01", "p": 1, "title": "tea"}'
    assert rows(tmp_path / "lines.jsonl", "\n".join([plain, mixed]).encode()) == 2
    with pytest.raises(ValueError, match="line 3: p is NaN"):
        rows(tmp_path / "lines.jsonl", "\n".join([plain, mixed, '{"p": NaN}']).encode())


def test_line_of_a_compressed_file_is_named_and_a_byte_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl.gz"
    broken = gzip.compress("\n".join([*GOOD, "{"]).encode() + b"\n", mtime=0)
    with pytest.raises(ValueError, match="lines.jsonl.gz, line 4: an object that goes on over"):
        rows(path, broken)
    latin = "\n".join([*GOOD, '{"c": "Käse"}']).encode("cp1252")
    with pytest.raises(ValueError, match="line 4: byte 0xe4 at column 9 is not UTF-8; say its enc"):
        rows(tmp_path / "latin.jsonl", latin)


def test_whole_emoji_and_what_only_looks_like_half_of_one_are_read(tmp_path: Path) -> None:
    whole = json.dumps({"c": "\U0001f600", "t": "2024-01-01", "p": 1})
    backslash = json.dumps({"c": "C:\\ud83d", "t": "2024-01-01", "p": 1})
    assert rows(tmp_path / "lines.jsonl", "\n".join([whole, backslash]).encode()) == 2


def test_field_of_an_object_is_told_how_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"c": {"id": 7}, "t": "2024-01-01", "p": 1}\n')
    source = {"path": str(path), "format": "json", "columns": BASE | {"customer_id": "c.id"}}
    with pytest.raises(ValueError, match=r"a field of an object is \{sql: \"c.id\"\}"):
        rows_of(Source.model_validate(source))
    right = source | {"columns": BASE | {"customer_id": {"sql": "c.id"}}}
    assert rows_of(Source.model_validate(right))["customer_id"].to_list() == ["7"]


@pytest.mark.parametrize("amount", ["lines.p", {"sql": "lines.p"}])
def test_lines_of_an_order_in_one_object_are_refused_by_their_name(
    tmp_path: Path, amount: object
) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text('{"c": 7, "t": "2024-01-01", "lines": [{"p": 1}, {"p": 2}]}\n')
    source = {"path": str(path), "format": "json", "columns": BASE | {"amount": amount}}
    with pytest.raises(
        ValueError, match="lines holds arrays in .*orders.jsonl; write a row for each"
    ):
        rows_of(Source.model_validate(source))
