import polars as pl
import pytest

from training.ingest.tables.expressions import column_types

TEXT = pl.String()
NUMBER = pl.Float64()


def types_of(sql: str, *, numbers: bool = False) -> dict[str, str] | None:
    """`number` or `text` for each column of an expression whose columns are all texts in the file."""
    names = dict.fromkeys(pl.sql_expr(sql).meta.root_names())
    types = column_types(sql, {name: TEXT for name in names}, lambda _: numbers)
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
    types = column_types("number LIKE 'C%' OR quantity < 0", given, lambda _: False)
    assert types == {"number": TEXT, "quantity": pl.Int64()}
    assert column_types("a > DATE '2024-01-01'", {"a": pl.Date()}, lambda _: False) == {
        "a": pl.Date()
    }
