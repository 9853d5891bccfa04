from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import BASE, Read, amount, rows_of
from training.ingest.sources import Source
from training.ingest.tables.sql.expressions import Numbers, column_types

TEXT = pl.String()
NUMBER = pl.Float64()


def types_of(sql: str, *, numbers: bool = False) -> dict[str, str] | None:
    """`number` or `text` for each column of an expression whose columns are all texts in the file."""
    names = dict.fromkeys(pl.sql_expr(sql).meta.root_names())
    types = column_types(sql, {name: TEXT for name in names}, lambda _: Numbers(numbers), "x")
    return (
        None
        if types is None
        else {name: "number" if types[name] == NUMBER else "text" for name in types}
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("quantity * price", {"quantity": "number", "price": "number"}),
        ("a + b + c", {"a": "number", "b": "number", "c": "number"}),
        ("number LIKE 'C%' OR quantity < 0", {"number": "text", "quantity": "number"}),
        ("STARTS_WITH(number, 'C')", {"number": "text"}),
        ("code NOT IN ('POST', 'M')", {"code": "text"}),
        ("code IN (1, 2)", {"code": "number"}),
        ("country || '-' || number", {"country": "text", "number": "text"}),
        ("COALESCE(title, category)", {"title": "text", "category": "text"}),
        (
            "CASE WHEN type = 'fee' THEN -amount ELSE amount END",
            {"type": "text", "amount": "number"},
        ),
        ("customer IS NOT NULL", {"customer": "text"}),
        ("CAST(amount AS DOUBLE) / 100", {"amount": "text"}),
    ],
)
def test_columns_of_text_become_numbers_only_where_they_are_computed_with(
    sql: str, expected: dict[str, str]
) -> None:
    assert types_of(sql) == expected


def test_comparison_of_two_columns_is_of_numbers_where_the_file_holds_numbers() -> None:
    assert types_of("paid < price", numbers=True) == {"paid": "number", "price": "number"}
    assert types_of("paid_on < due_on", numbers=False) == {"paid_on": "text", "due_on": "text"}


def test_expression_that_fits_no_types_has_none() -> None:
    assert types_of("UPPER(a) * 2") is None
    assert types_of("a + 'x'") is None


def test_whole_numbers_can_serve_as_text_and_other_types_stay() -> None:
    given: dict[str, pl.DataType] = {"number": pl.Int64(), "quantity": pl.Int32()}
    types = column_types("number LIKE 'C%' OR quantity < 0", given, lambda _: Numbers(False), "x")
    assert types == {"number": TEXT, "quantity": pl.Int64()}
    assert column_types(
        "a > DATE '2024-01-01'", {"a": pl.Date()}, lambda _: Numbers(False), "x"
    ) == {"a": pl.Date()}


def test_a_column_without_values_has_the_type_that_the_expression_needs() -> None:
    """As in the file of a day on which nothing was returned."""
    needed = {
        "CASE WHEN a THEN 'refund' ELSE 'purchase' END": pl.Boolean(),
        "EXTRACT(YEAR FROM a) = 2024": pl.Datetime("us"),
        "a / 100": NUMBER,
        "REPLACE(a, ',', '.')": TEXT,
    }
    for sql, dtype in needed.items():
        types = column_types(sql, {"a": pl.Null()}, lambda _: Numbers(False), "x")
        assert types == {"a": dtype}
    both = {"a": pl.Null(), "b": pl.Null()}
    types = column_types("a AND b LIKE 'C%'", both, lambda _: Numbers(False), "x")
    assert types == {"a": pl.Boolean(), "b": TEXT}


def test_rows_without_a_flag_are_read_beside_rows_with_one(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "1.json").write_text('{"c": 9, "t": "2024-01-01", "p": 5, "back": null}\n')
    (folder / "2.json").write_text('{"c": 9, "t": "2024-01-02", "p": -5, "back": true}\n')
    kind = {"sql": "CASE WHEN back THEN 'refund' ELSE 'purchase' END"}
    source = {"path": str(folder), "format": "json", "columns": BASE, "kind": kind}
    rows = rows_of(Source.model_validate(source))
    assert rows["kind"].to_list() == ["purchase", "refund"]


def test_an_odd_cell_among_numbers_is_told_where_the_expression_asks_which_is_more(
    read: Read,
) -> None:
    content = (
        "c,t,p,q\n1,2024-01-05,9,10\n2,2024-01-06,100,20\n3,2024-01-07,-,5\n4,2024-01-07,5,30\n"
    )
    with pytest.raises(
        ValueError, match=r"filter: 'p < q' compares numbers, but column 'p' holds '-' beside 3"
    ):
        read(content, filter={"sql": "p < q"}, columns=BASE | {"amount": "q"})
    rows = read(content, filter={"sql": "p < q"}, columns=BASE | {"amount": "q"}, null_values=["-"])
    assert rows["customer_id"].to_list() == ["1", "4"]
    assert read(content, filter={"sql": "p <> q"}, columns=BASE | {"amount": "q"}).height == 4


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CAST(p AS INT) * CAST(q AS INTEGER)", 5e9),
        ("p::int * q::int", 5e9),
        ("EXTRACT(MONTH FROM DATE(t)) * 100 + EXTRACT(DAY FROM DATE(t))", 1205.0),
        ("ABS(LENGTH(c) - 4)", 3.0),
        ("CASE WHEN c <> 'LENGTH(c) / 2' THEN 7 END", 7.0),
    ],
)
def test_sql_computes_in_types_that_hold_its_results(read: Read, sql: str, expected: float) -> None:
    content = "c,t,p,q\n1,2024-12-05,100000,50000\n"
    assert read(content, columns=BASE | {"amount": {"sql": sql}})["amount"].to_list() == [expected]


@pytest.mark.parametrize("num_rows", [1, 2, 7])
def test_division_is_the_same_in_files_of_any_length(read: Read, num_rows: int) -> None:
    content = "c,t,p\n" + "1,2024-01-01,57\n" * num_rows
    assert read(content, **amount("p / 100"))["amount"].to_list() == [0.57] * num_rows
    assert read(content, filter={"sql": "p / 100 <= 0.57"}).height == num_rows


def test_number_that_is_also_the_name_of_a_column_is_refused(read: Read) -> None:
    content = "c,t,2023,2024\n1,2024-01-01,5,7\n"
    with pytest.raises(
        ValueError, match="2023 in '2023 \\+ 2024' may mean the number or the column"
    ):
        read(content, **amount("2023 + 2024"))
    assert read(content, **amount('"2023" + "2024"'))["amount"].to_list() == [12.0]
    assert read(content, **amount('"2023" + 2024.0'))["amount"].to_list() == [2029.0]
