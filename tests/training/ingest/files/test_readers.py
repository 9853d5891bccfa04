"""Files of all formats, read as text, with their places named where they cannot be read."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import BASE, Read, amount, rows_of
from training.ingest.sources import Source
from training.ingest.tables.rows import ROW


def test_csv_is_read_as_text(read: Read) -> None:
    rows = read("c,t,p\n007,2024-01-01,1.50\n17850.0,2024-01-02,\n")
    assert rows["customer_id"].to_list() == ["007", "17850"]
    assert rows["amount"].to_list() == [1.5, None]
    assert rows[ROW].to_list() == [1, 2]
    assert rows["kind"].to_list() == ["purchase", "purchase"]


def test_skipped_rows_delimiter_decimal_and_encoding(read: Read) -> None:
    text = "Export;of;today;x\n\nc;t;p;name\nä1;01.02.2024;1.234,50;Käse\n"
    rows = read(
        text.encode("cp1252"),
        skip_rows=2,
        delimiter=";",
        decimal=",",
        encoding="cp1252",
        date_format="%d.%m.%Y",
        columns=BASE | {"text": "name"},
    )
    assert rows.select("customer_id", "amount", "text").row(0) == ("ä1", 1234.5, "Käse")


def test_byte_order_mark_and_windows_line_ends(read: Read) -> None:
    rows = read("\ufeffc,t,p\r\n1,2024-01-01,2\r\n")
    assert rows.select("customer_id", "amount").row(0) == ("1", 2.0)
    assert read("\ufeffc,t,p\r\n1,2024-01-01,2\r\n".encode("utf-16"), encoding="utf-16").height == 1


def test_json_lines_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"c": "1", "t": "2024-01-01", "p": 2.5}\n' * 2)
    rows = rows_of(Source.model_validate({"path": str(path), "format": "json", "columns": BASE}))
    assert rows["amount"].to_list() == [2.5, 2.5]


def test_no_header_numbers_the_columns_from_one(read: Read) -> None:
    columns = {"customer_id": "column_1", "occurred_at": "column_2", "amount": "column_3"}
    assert read("1,2024-01-01,5\n2,2024-01-01,6\n", has_header=False, columns=columns)[
        "amount"
    ].to_list() == [5, 6]
    text = "  1 2024-01-01   5\n\n 2  2024-01-01 6 \n"
    assert read(text, has_header=False, delimiter=" ", columns=columns)["amount"].to_list() == [
        5,
        6,
    ]


def test_blank_separated_with_header_and_null_values(read: Read) -> None:
    rows = read(
        " c  t p\r\n 0001 2024-01-01  11.77\r\n 2 2024-01-01 NA\r\n 3 2024-01-01\r\n", delimiter=" "
    )
    assert rows["customer_id"].to_list() == ["0001", "2", "3"]
    assert rows["amount"].to_list() == [11.77, None, None]


def test_lines_with_too_few_values_are_counted(
    read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    rows = read("c t p q\n1 2024-01-01 5 1\n\n2 2024-01-01 7\n3\n", delimiter=" ")
    assert rows["amount"].to_list() == [5.0, 7.0, None]
    assert caplog.messages[0].endswith(
        "lines.csv: 2 rows have fewer cells than the first line; the rest are empty"
    )


def test_line_with_too_many_values_is_named(read: Read) -> None:
    with pytest.raises(
        ValueError, match=r"lines.csv, row 2 after the header: 4 values where the first line has 3"
    ):
        read("c t p\n1 2024-01-01 5\n1 2024-01-01 5 6\n", delimiter=" ")
    with pytest.raises(
        ValueError, match=r"lines.csv, row 2 after the header: 4 fields where the first line has 3"
    ):
        read('c,t,p\n1,2024-01-01,"5,0"\n1,2024-01-01,5,6\n')


@pytest.mark.parametrize("is_array", [True, False])
def test_json_array_and_lines(read: Read, is_array: bool) -> None:
    records: list[dict[str, object]] = [{"c": 1, "t": "2024-01-01", "p": 2.5} for _ in range(300)]
    records.append({"c": 2, "t": "2024-01-02T10:00:00Z", "p": None, "late": "x"})
    text = json.dumps(records) if is_array else "\n".join(map(json.dumps, records))
    rows = read(text, format="json", columns=BASE | {"text": "late"})
    assert rows.height == 301
    assert rows.select("customer_id", "amount", "text").row(-1) == ("2", None, "x")


def test_parquet_with_ids_as_floats_and_local_times(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    times = pl.Series(["2024-07-01 12:00:00", None]).str.to_datetime(time_unit="ns")
    pl.DataFrame({"c": [17850.0, None], "t": times, "p": [1, 2], "n": [5, 6]}).write_parquet(path)
    source = {"path": str(path), "format": "parquet", "timezone": "Europe/Paris", "columns": BASE}
    rows = rows_of(Source.model_validate(source | {"filter": {"sql": "n LIKE '5'"}}))
    assert rows["customer_id"].to_list() == ["17850"]
    assert rows["occurred_at"].dt.hour().to_list() == [10]


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (
            "c,t,p\n1,2024-01-01,2\n1,12/25/2024,2\n",
            {},
            "row 2 after the header: occurred_at is '12/25/2024', not an",
        ),
        (
            "c,t,p\n1,25/12/2024,2\n1,12/25/2024,2\n",
            {"date_format": "%d/%m/%Y"},
            "row 2 after the header: occurred_at is '12/25/2024', which does not match date_format '%d/%m/%Y'",
        ),
        (
            "c,t,p\n1,2024-01-01,2\n1,2024-01-01,2EUR\n",
            {},
            "row 2 after the header: amount is '2EUR', not a number",
        ),
        (
            'c,t,p\n1,2024-01-01,"1.234,50"\n',
            {},
            r"amount is '1.234,50', not a number \(decimal: '.'\); with decimal: ',' it is one",
        ),
        (
            "c,t,p\n1,2024-01-01,2\n1,2024-01-01,x\n",
            amount("p * 2"),
            "row 2 after the header: p is 'x', not a number .*as columns.amount needs",
        ),
        (
            "c,t,p\n1,2024-01-01,x\n1,2024-01-01,y\n",
            amount("p * 2"),
            "row 1 after the header: p is 'x', not a number",
        ),
        (
            "c,t,p\n1,2024-01-01,2\n1,2024-01-01,1\n1,2024-01-01,0\n",
            amount("1 / p"),
            "row 3 after the header: amount is inf, not a number",
        ),
        (
            "c,t,p\n1,2024-01-01,2\n1,2024-01-01,x\n",
            amount("CAST(p AS INT)"),
            "row 2 after the header: columns.amount .*cannot be computed from {'p': 'x'}",
        ),
        ("c,t,p\n1,2024-01-01,é\n".encode("cp1252"), {}, "is not utf-8; say its encoding"),
        ("c,t,p\n1,2024-01-01,é\n".encode(), {"encoding": "utf-16"}, "is not utf-16"),
        (
            'c,t,p\n1,2024-01-01,2\n1,"2024-01-01,2\n3,2024-01-01,2\n',
            {},
            "row 2 after the header, column 't', which begins '\"2024-01-01,2': a quote is opened and not closed",
        ),
        (
            '[{"c": {"id": 1}, "t": "2024-01-01", "p": 1}]',
            {"format": "json"},
            "columns.customer_id: .* Struct",
        ),
        ("c,t,p\n", {}, "has no rows"),
        ("\n", {}, "has no rows"),
        ("  \n \n", {"delimiter": " "}, "has no rows"),
        ("[]", {"format": "json"}, "has no rows"),
        ('[{"c": 1},', {"format": "json"}, "not JSON: it ends before it is whole"),
        ("hello\n", {"format": "json"}, "line 1: not JSON: expecting value at column 1"),
        (b"PAR1" + bytes(100) + b"PAR1", {"format": "parquet"}, "cannot be read as parquet"),
        (gzip.compress(b"c,t,p\n1,2024-01-01,2\n", mtime=0)[:20], {}, "lines.csv"),
    ],
)
def test_file_that_cannot_be_read_is_named_with_row_and_value(
    read: Read, content: str | bytes, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(content, **changes)


def test_folder_with_an_empty_month(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("c,t,p\n1,2024-01-01,2\n")
    (tmp_path / "2.csv").write_text("c,t,p\n")
    assert rows_of(Source.model_validate({"path": str(tmp_path), "columns": BASE})).height == 1


def test_parquet_with_categories(tmp_path: Path) -> None:
    frame = pl.DataFrame({"c": ["7", "8"], "t": ["2024-01-01", "2024-01-02"], "p": [1.0, 2.0]})
    frame.with_columns(
        pl.col("c").cast(pl.Categorical), pl.col("t").cast(pl.Enum(frame["t"]))
    ).write_parquet(tmp_path / "lines.parquet")
    rows = rows_of(
        Source.model_validate(
            {
                "path": str(tmp_path / "lines.parquet"),
                "format": "parquet",
                "columns": BASE,
                "kind": {"sql": "CASE WHEN UPPER(c) LIKE '7%' THEN 'refund' ELSE 'purchase' END"},
            }
        )
    )
    assert rows.select("customer_id", "kind").rows() == [("7", "refund"), ("8", "purchase")]
    assert rows["occurred_at"].dt.day().to_list() == [1, 2]


def test_zone_that_is_not_that_of_the_recipe_is_refused(read: Read) -> None:
    content = "c,t,p\n1,2024-01-01 10:00 PST,2\n"
    with pytest.raises(
        ValueError, match="row 1 .*names of zones are UTC, GMT and those of timezone: UTC"
    ):
        read(content, date_format="%Y-%m-%d %H:%M %Z")
    rows = read(content, date_format="%Y-%m-%d %H:%M %Z", timezone="America/Los_Angeles")
    assert rows["occurred_at"].dt.hour().to_list() == [18]
    with pytest.raises(ValueError, match="%Z, the name of a zone, is read at the end alone"):
        read(content, date_format="%Z %Y-%m-%d")


def test_texts_that_parquet_has_as_bytes_are_texts(tmp_path: Path) -> None:
    frame = pl.DataFrame({"c": [b"a ", b"", b"b"], "t": ["2024-01-01"] * 3, "p": [1.0, 2.0, 3.0]})
    frame.write_parquet(tmp_path / "x.parquet")
    source = {"path": str(tmp_path / "x.parquet"), "format": "parquet", "columns": BASE}
    assert rows_of(Source.model_validate(source))["customer_id"].to_list() == ["a", None, "b"]


def test_short_lines_between_blanks_are_told(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    read("c t p q\n1 2024-01-05 40 2\n2 2024-01-05 50\n", delimiter=" ")
    assert "1 rows have fewer cells than the first line" in caplog.text


def test_utf8_is_not_taken_for_another_encoding(read: Read) -> None:
    content = "c,t,p\nJos\u00e9,2024-01-01,5\n"
    with pytest.raises(ValueError, match="is UTF-8, not cp1252"):
        read(content, encoding="cp1252")
    rows = read(content.encode("cp1252"), encoding="cp1252")
    assert rows["customer_id"].to_list() == ["Jos\u00e9"]
    assert read("c,t,p\nJose,2024-01-01,5\n", encoding="latin-1").height == 1
