import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from training.ingest.batches import ROW, ParsedRows, read_batches
from training.ingest.sources import Source

BASE = {"customer_id": "c", "occurred_at": "t", "amount": "p"}
CANCELLATION = {"sql": "CASE WHEN c LIKE 'C%' THEN 'refund' ELSE 'purchase' END"}
Read = Callable[..., pl.DataFrame]


def amount(sql: str) -> dict[str, object]:
    """A change of the recipe: the amount by an expression."""
    return {"columns": BASE | {"amount": {"sql": sql}}}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Parsed rows of a source whose file has the given content."""

    def read_file(content: str | bytes, **changes: object) -> pl.DataFrame:
        path = tmp_path / "lines.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return rows_of(Source.model_validate({"path": str(path), "columns": BASE, **changes}))

    return read_file


def batches_of(source: Source) -> list[ParsedRows]:
    return list(read_batches(source))


def rows_of(source: Source) -> pl.DataFrame:
    return pl.concat([batch.rows for batch in batches_of(source)])


def test_csv_is_read_as_text(read: Read) -> None:
    rows = read("c,t,p\n007,2024-01-01,1.50\n17850.0,2024-01-02,\n")
    assert rows["customer_id"].to_list() == ["007", "17850"]
    assert rows["amount"].to_list() == [1.5, None]
    assert rows[ROW].to_list() == [1, 2]
    assert rows["kind"].to_list() == ["purchase", "purchase"]


def test_skipped_rows_delimiter_decimal_and_encoding(read: Read) -> None:
    text = "Export;of;today;x\n\nc;t;p;name\nä1;01.02.2024;1.234,50;Käse\n"
    rows = read(
        text.encode("cp1252"), skip_rows=2, delimiter=";", decimal=",", encoding="cp1252", date_format="%d.%m.%Y",
        columns=BASE | {"text": "name"},
    )  # fmt: skip
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


def test_kind_among_the_columns_may_be_a_constant(read: Read) -> None:
    assert read("c,t,p\n1,2024-01-01,2\n", columns=BASE | {"kind": "renewal"})[
        "kind"
    ].to_list() == ["renewal"]
    with pytest.raises(
        ValueError, match="unknown column 'hello'.*a constant text is .sql: .'hello'"
    ):
        read("c,t,p\n1,2024-01-01,2\n", columns=BASE | {"text": "hello"})


def test_aggregate_beyond_the_first_rows_is_refused(read: Read) -> None:
    lines = "".join(f"1,2024-01-01,{3 if row < 100 else 9}\n" for row in range(101))
    with pytest.raises(ValueError, match="depends on other rows"):
        read("c,t,p\n" + lines, **amount("MAX(p)"))


def test_first_text_of_many_columns(read: Read) -> None:
    names = [f"c{number}" for number in range(12)]
    head = ",".join(["c", "t", "p", *names])
    rows = read(
        f"{head}\n1,2024-01-01,2{',x' * 12}\n",
        columns=BASE | {"text": {"sql": f"COALESCE({','.join(names)})"}},
    )
    assert rows["text"].to_list() == ["x"]


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


def test_columns_that_sql_computes_with_are_numbers_as_the_recipe_writes_them(read: Read) -> None:
    text = 'c;t;q;p\nC1;2024-01-01;1.000;"2,5"\n2;2024-01-01;;3\n'
    columns = BASE | {"amount": {"sql": "q * p"}, "quantity": "q"}
    rows = read(
        text,
        delimiter=";",
        decimal=",",
        columns=columns,
        kind=CANCELLATION,
    )
    assert rows["amount"].to_list() == [2500.0, None]
    assert rows["kind"].to_list() == ["refund", "purchase"]


def test_text_test_on_a_file_in_which_all_codes_are_numbers(read: Read) -> None:
    assert read("c,t,p\n536365,2024-01-01,1\n", kind=CANCELLATION)["kind"].to_list() == ["purchase"]


def test_filters_count_by_reason_and_bad_values_of_rows_left_out_do_not_matter(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "c,t,q,p\n1,2024-01-01,1,2\n1,2024-01-01,TEST,2\n,never,1,bad\n1,2024-01-01,0,9\n"
    )
    filters = {
        "test": {"sql": "q <> 'TEST'"},
        "nobody": {"sql": "c IS NOT NULL"},
        "zero": {"sql": "q > 0"},
    }
    source = {"path": str(path), "columns": BASE | {"amount": {"sql": "q * p"}}, "filter": filters}
    (batch,) = batches_of(Source.model_validate(source))
    assert batch.counts == {"rows_read": 4, "filter:test": 1, "filter:nobody": 1, "filter:zero": 1}
    assert batch.rows["amount"].to_list() == [2.0]
    assert batch.rows[ROW].to_list() == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": BASE | {"amount": "price"}}, r"columns.amount: unknown column 'price'; .* has \['c', 't', 'p'\]"),
        (amount("p * qty"), "columns.amount: unknown column 'qty' in 'p \\* qty'"),
        ({"filter": "keep"}, "filter: unknown column 'keep'"),
        ({"filter": {"zero": {"sql": "qty > 0"}}}, "filter.zero: unknown column 'qty'"),
        ({"kind": "buy"}, "kind: unknown column 'buy'.*kinds are purchase, refund"),
        (amount("p *"), "columns.amount: 'p \\*' is not an SQL expression"),
        (amount("UPPER(p) * 2"), "columns.amount: .* cannot be computed"),
        ({"filter": {"sql": "p * 2"}}, "filter: must be true or false for each row"),
        ({"filter": "p"}, "filter: must be true or false for each row"),
        (amount("SUM(p)"), "columns.amount: .* depends on other rows"),
        (amount("ROW_NUMBER() OVER (ORDER BY p)"), "columns.amount: .* depends on other rows"),
        ({"delimiter": ";"}, "unknown column 'c'"),
        ({"encoding": "klingon"}, "encoding 'klingon' is unknown"),
    ],
)  # fmt: skip
def test_value_that_does_not_fit_the_file(
    read: Read, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read("c,t,p\n1,2024-01-01,1\n2,2024-01-02,2\n3,2024-01-02,7\n", **changes)


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        ("c,t,p\n1,2024-01-01,2\n1,12/25/2024,2\n", {}, "row 2 after the header: occurred_at is '12/25/2024', not an"),
        ("c,t,p\n1,25/12/2024,2\n1,12/25/2024,2\n", {"date_format": "%d/%m/%Y"},
         "row 2 after the header: occurred_at is '12/25/2024', which does not match date_format '%d/%m/%Y'"),
        ("c,t,p\n1,2024-01-01,2\n1,2024-01-01,2EUR\n", {}, "row 2 after the header: amount is '2EUR', not a number"),
        ("c,t,p\n1,2024-01-01,2\n1,2024-01-01,x\n", amount("p * 2"),
         "row 2 after the header: p is 'x', not a number .*as columns.amount needs"),
        ("c,t,p\n1,2024-01-01,x\n1,2024-01-01,y\n", amount("p * 2"),
         "row 1 after the header: p is 'x', not a number"),
        ("c,t,p\n1,2024-01-01,2\n1,2024-01-01,1\n1,2024-01-01,0\n", amount("1 / p"),
         "row 3 after the header: amount is inf, not a number"),
        ("c,t,p\n1,2024-01-01,2\n1,2024-01-01,x\n", amount("CAST(p AS INT)"),
         "row 2 after the header: columns.amount .*cannot be computed from {'p': 'x'}"),
        ("c,t,p\n1,2024-01-01,é\n".encode("cp1252"), {}, "is not utf-8; say its encoding"),
        ("c,t,p\n1,2024-01-01,é\n".encode(), {"encoding": "utf-16"}, "is not utf-16"),
        ('c,t,p\n1,2024-01-01,2\n1,"2024-01-01,2\n3,2024-01-01,2\n', {},
         "row 2 after the header: a quote is opened and not closed"),
        ('[{"c": {"id": 1}, "t": "2024-01-01", "p": 1}]', {"format": "json"}, "columns.customer_id: .* Struct"),
        ("c,t,p\n", {}, "has no rows"),
        ("\n", {}, "has no rows"),
        ("  \n \n", {"delimiter": " "}, "has no rows"),
        ("[]", {"format": "json"}, "has no rows"),
        ('[{"c": 1},', {"format": "json"}, "cannot be read as json"),
        ("hello\n", {"format": "json"}, "cannot be read as json"),
        (b"PAR1" + bytes(100) + b"PAR1", {"format": "parquet"}, "cannot be read as parquet"),
        (gzip.compress(b"c,t,p\n1,2024-01-01,2\n", mtime=0)[:20], {}, "lines.csv"),
    ],
)  # fmt: skip
def test_file_that_cannot_be_read_is_named_with_row_and_value(
    read: Read, content: str | bytes, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(content, **changes)


def test_lookup_adds_columns_and_refuses_what_is_not_unique(tmp_path: Path, read: Read) -> None:
    (tmp_path / "campaigns.csv").write_text("k,start\nA,2024-05-01\nB,2024-06-01\n")
    lookup = {"path": str(tmp_path / "campaigns.csv"), "columns": {"begins": "start"}}
    changes = {
        "lookup": lookup,
        "lookup_on": "k",
        "columns": {"customer_id": "c", "occurred_at": "begins"},
        "kind": "campaign",
    }
    rows = read("c,k\n1,B\n2,A\n3,Z\n", **changes)
    assert rows["occurred_at"].dt.month().to_list() == [6, 5, None]
    with pytest.raises(ValueError, match="unknown column 'key'"):
        read("c,k\n1,B\n", **(changes | {"lookup_on": "key"}))
    (tmp_path / "campaigns.csv").write_text("k,start\nA,2024-05-01\nA,2024-06-01\n")
    with pytest.raises(ValueError, match="'k' is not unique"):
        read("c,k\n1,B\n", **changes)


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
            {"path": str(tmp_path / "lines.parquet"), "format": "parquet", "columns": BASE,
             "kind": {"sql": "CASE WHEN UPPER(c) LIKE '7%' THEN 'refund' ELSE 'purchase' END"}}
        )
    )  # fmt: skip
    assert rows.select("customer_id", "kind").rows() == [("7", "refund"), ("8", "purchase")]
    assert rows["occurred_at"].dt.day().to_list() == [1, 2]
