"""Rows of a source: filtered, computed and parsed by the recipe."""

from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import BASE, Read, amount, batches_of, rows_of
from training.ingest.files.broken_records import MAX_CELL_LETTERS
from training.ingest.sources import Source
from training.ingest.tables.rows import ROW

CANCELLATION = {"sql": "CASE WHEN c LIKE 'C%' THEN 'refund' ELSE 'purchase' END"}


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
    assert batch.num_read == 4
    told = {reason: rows["amount"].to_list() for reason, rows in batch.left_out.items()}
    assert told == {"filter:test": [None], "filter:nobody": [None], "filter:zero": [0.0]}
    assert batch.rows["amount"].to_list() == [2.0]
    assert batch.rows[ROW].to_list() == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"columns": BASE | {"amount": "price"}},
            r"columns.amount: unknown column 'price'; .* has \['c', 't', 'p'\]",
        ),
        (amount("p * qty"), "columns.amount: unknown column 'qty' in 'p \\* qty'"),
        ({"filter": "keep"}, "filter: unknown column 'keep'"),
        ({"filter": {"zero": {"sql": "qty > 0"}}}, "filter.zero: unknown column 'qty'"),
        ({"kind": "buy"}, "kind: unknown column 'buy'.*kinds are purchase, refund"),
        (amount("p *"), "columns.amount: 'p \\*' is not an SQL expression"),
        (amount("UPPER(p) * 2"), "columns.amount: .* cannot be computed"),
        ({"filter": {"sql": "p * 2"}}, "filter: must be true or false for each row"),
        (
            {"filter": "p"},
            "lines.csv: filter: must be true or false for each row, not String, such as '1'; compare it",
        ),
        (amount("SUM(p)"), "columns.amount: .* depends on other rows"),
        (amount("ROW_NUMBER() OVER (ORDER BY p)"), "columns.amount: .* depends on other rows"),
        ({"delimiter": ";"}, "unknown column 'c'"),
        ({"encoding": "klingon"}, "encoding 'klingon' is unknown"),
    ],
)
def test_value_that_does_not_fit_the_file(
    read: Read, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read("c,t,p\n1,2024-01-01,1\n2,2024-01-02,2\n3,2024-01-02,7\n", **changes)


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


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.Int16, pl.Int32, pl.UInt32, pl.Int64, pl.UInt64])
def test_sql_computes_in_wide_types_whatever_the_files(
    tmp_path: Path, dtype: type[pl.DataType]
) -> None:
    frame = pl.DataFrame({"c": ["1", "2"], "t": ["2024-01-01"] * 2, "q": [3, 5], "p": [100, 120]})
    path = tmp_path / "x.parquet"
    frame.with_columns(pl.col("q", "p").cast(dtype)).write_parquet(path)
    for sql, expected in (("q * p", [300.0, 600.0]), ("q - p + 200", [103.0, 85.0])):
        columns = BASE | {"amount": {"sql": sql}}
        source = {"path": str(path), "format": "parquet", "columns": columns}
        assert rows_of(Source.model_validate(source))["amount"].to_list() == expected


@pytest.mark.parametrize(
    ("dtype", "q", "p"), [(pl.Int64, 4 * 10**18, 10), (pl.UInt32, 2**32 - 1, 2**32 - 1)]
)
def test_products_beyond_64_bits_are_whole(
    tmp_path: Path, dtype: type[pl.DataType], q: int, p: int
) -> None:
    frame = pl.DataFrame({"c": ["1"], "t": ["2024-01-01"], "q": [q], "p": [p]})
    frame.with_columns(pl.col("q", "p").cast(dtype)).write_parquet(tmp_path / "x.parquet")
    source = {"path": str(tmp_path / "x.parquet"), "format": "parquet", **amount("q * p")}
    assert rows_of(Source.model_validate(source))["amount"].to_list() == [float(q * p)]


def test_numbers_of_four_bytes_are_their_shortest_decimals(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"c": ["1"], "t": ["2024-01-01"], "p": pl.Series([19.99], dtype=pl.Float32)}
    )
    frame.write_parquet(tmp_path / "x.parquet")
    for amount_of in ("p", {"sql": "p"}):
        columns = BASE | {"amount": amount_of}
        source = {"path": str(tmp_path / "x.parquet"), "format": "parquet", "columns": columns}
        assert rows_of(Source.model_validate(source))["amount"].to_list() == [19.99]


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (202402, "202402"),
        (False, "No"),
        (1.5, "1.5"),
        (66818, "0202402"),
        (1, "1.0"),
        (2024.0, "2024"),
    ],
)
def test_constant_that_is_also_the_name_of_a_column_is_refused(
    read: Read, value: object, column: str
) -> None:
    content = f"c,t,{column}\n1,2024-01-01,5\n"
    with pytest.raises(ValueError, match=f"may mean the column '{column}' of .* or a constant"):
        read(content, columns=BASE | {"amount": value})
    assert read(content, columns=BASE | {"amount": column})["amount"].to_list() == [5.0]
    assert read(content, columns=BASE | {"amount": {"sql": "7"}})["amount"].to_list() == [7.0]


def test_kind_that_is_also_the_name_of_a_column_is_refused(read: Read) -> None:
    content = "c,t,p,refund,purchase\n1,2024-01-01,5,view,cart\n"
    assert read(content)["kind"].to_list() == ["purchase"]
    with pytest.raises(ValueError, match="'refund' may mean the kind or the column"):
        read(content, kind="refund")
    assert read(content, kind={"sql": "'refund'"})["kind"].to_list() == ["refund"]
    assert read(content, kind={"sql": '"refund"'})["kind"].to_list() == ["view"]


@pytest.mark.parametrize("num_rows", [1, 2, 3, 5])
def test_cents_of_a_few_rows_are_amounts(read: Read, num_rows: int) -> None:
    cents = [1999, 7, 333, 2950, 1][:num_rows]
    content = "c,t,p\n" + "".join(f"{row},2024-01-01,{value}\n" for row, value in enumerate(cents))
    found = read(content, columns=BASE | {"amount": {"sql": "p / 100"}})["amount"].to_list()
    assert found == pytest.approx([value / 100 for value in cents], rel=1e-15)


def test_ids_in_decimal_columns_stay_whole_in_sql(tmp_path: Path) -> None:
    ids = ["1234567890123456789", "1234567890123456790"]
    frame = pl.DataFrame({"c": ids, "t": ["2024-01-01"] * 2, "p": [1.0, 2.0]})
    frame.with_columns(pl.col("c").cast(pl.Decimal(38, 0))).write_parquet(tmp_path / "x.parquet")
    for customer in ("c", {"sql": "c"}, {"sql": "CAST(c AS VARCHAR)"}):
        columns = BASE | {"customer_id": customer}
        source = {"path": str(tmp_path / "x.parquet"), "format": "parquet", "columns": columns}
        assert rows_of(Source.model_validate(source))["customer_id"].to_list() == ids


@pytest.mark.parametrize("format", ["csv", "parquet", "json"])
def test_cells_have_a_stated_length(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"lines.{format}"
    source = Source.model_validate(
        {"path": str(path), "format": format, "columns": BASE | {"text": "x"}}
    )
    rows = pl.DataFrame({"c": ["1"] * 2, "t": ["2024-01-01"] * 2, "p": [1.0, 2.0], "x": ["x"] * 2})
    write = {
        "csv": pl.DataFrame.write_csv,
        "parquet": pl.DataFrame.write_parquet,
        "json": pl.DataFrame.write_ndjson,
    }[format]
    write(rows.with_columns(pl.Series("x", ["short", "x" * MAX_CELL_LETTERS])), path)
    assert rows_of(source)["text"].str.len_chars().to_list() == [5, MAX_CELL_LETTERS]
    longer = pl.Series("x", ["short", "x" * (MAX_CELL_LETTERS + 1)])
    write(rows.with_columns(longer), path)
    with pytest.raises(ValueError, match="row 2.*: column 'x' has a cell of 16777217 letters"):
        rows_of(source)


def test_id_that_lost_digits_is_refused_with_its_row(read: Read) -> None:
    content = "c,t,p\n17,2024-01-01,5\n1.23457E+12,2024-01-01,5\n"
    with pytest.raises(
        ValueError, match="row 2 .*: customer_id is '1.23457E.12', an id that has lost"
    ):
        read(content)


def test_seconds_are_no_milliseconds(read: Read) -> None:
    content = "c,t,p\n1,1704067200,5\n1,1735689600,5\n"
    with pytest.raises(
        ValueError, match="by date_format epoch_ms .* before 1970-01-21; say epoch_s"
    ):
        read(content, date_format="epoch_ms")
    assert read(content, date_format="epoch_s")["occurred_at"].dt.year().to_list() == [2024, 2025]
