"""Numbers that can be read two ways are told with the way they are read."""

from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import recipe, run
from training.ingest.tables.number_marks import ambiguous_mark


@pytest.mark.parametrize(
    ("texts", "decimal", "mark"),
    [
        (["1.234", "950", "12.500"], ".", "."),  # whole euros of a German export
        (["1,234", "950", "12,500"], ",", ","),  # whole dollars under a decimal comma
        (["12,500", "3,000"], ".", ","),  # dinars have three decimals
        (["1.000", "2.000"], ",", "."),  # quantities of SAP
        (["1.234", "0.999"], ".", None),
        (["1.234", "1.5"], ".", None),
        (["1.234", "1500"], ".", None),
        (["1,234", "950"], ".", None),
        (["1,234", "950.00"], ".", None),
        (["1,234,567", "2,000"], ".", None),
        (["5", "1500", "", None], ".", None),
        (["0.123", None], ".", None),
    ],
)
def test_marks_that_may_be_decimal_signs_or_group_thousands(
    texts: list[str | None], decimal: str, mark: str | None
) -> None:
    assert ambiguous_mark(pl.Series(texts, dtype=pl.String), decimal) == mark


def test_columns_of_such_numbers_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.csv"
    path.write_text("c;t;p;q\n1;2024-01-01;1.234;2\n2;2024-01-02;950;1\n")
    amount = {"sql": "p * q"}
    columns = {"customer_id": "c", "occurred_at": "t", "amount": amount}
    source = {"path": str(path), "delimiter": ";", "columns": columns}
    events, _ = run(recipe(tmp_path / "one", source))
    assert events["amount"].to_list() == [pytest.approx(2.468), 950.0]
    assert (
        "column 'p' with '.' have three digits behind it, such as '1.234', read as 1.234"
        in caplog.text
    )
    assert "where '.' groups thousands say decimal: ','" in caplog.text
    caplog.clear()
    events, _ = run(recipe(tmp_path / "other", source | {"decimal": ","}))
    assert events["amount"].to_list() == [2468.0, 950.0]
    assert "three digits" not in caplog.text


def test_numbers_of_a_lookup_are_told_by_its_decimal_sign(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.csv").write_text("c,t,i,q\n1,2024-01-01,A,2\n")
    (tmp_path / "prices.csv").write_text("i;p\nA;1.234\n")
    prices = {
        "path": str(tmp_path / "prices.csv"),
        "delimiter": ";",
        "decimal": ",",
        "columns": {"price": "p"},
    }
    columns = {"customer_id": "c", "occurred_at": "t", "amount": {"sql": "q * price"}}
    source = {"path": str(tmp_path / "x.csv"), "columns": columns}
    events, _ = run(recipe(tmp_path / "data", source | {"lookup": prices, "lookup_on": "i"}))
    assert events["amount"].to_list() == [2468.0]
    assert "column 'price' with '.' have three digits" in caplog.text
    assert "where '.' is the decimal sign say decimal: '.'" in caplog.text


def test_the_first_file_of_a_folder_that_has_such_numbers_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in").mkdir()
    for month, price in (("1", "12.50 €"), ("2", "1.234 €"), ("3", "2.345 €")):
        (tmp_path / "in" / f"{month}.csv").write_text(f"c,t,p\n1,2024-0{month}-01,{price}\n")
    amount = {"sql": "REPLACE(p, ' €', '')"}
    columns = {"customer_id": "c", "occurred_at": "t", "amount": amount}
    run(recipe(tmp_path / "data", {"path": str(tmp_path / "in"), "columns": columns}))
    told = [each.getMessage() for each in caplog.records if "three digits" in each.getMessage()]
    assert len(told) == 1
    assert "2.csv: all numbers of column 'p' with '.'" in told[0]


@pytest.mark.parametrize(
    ("header", "lines", "is_told"),
    [
        ("c,t,p,i,", ("1,2024-01-01,5,50,Hat", "2,2024-01-02,6,,"), True),
        ("c,t,p,i,,", ("1,2024-01-01,5,Hat,,x",), True),
        ("c,t,p,i,", ("1,2024-01-01,5.50,Hat,",), False),
        (",c,t,p,i", ("0,1,2024-01-01,5.50,Hat",), False),  # an index
    ],
)
def test_cells_in_columns_without_a_name_are_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    header: str,
    lines: tuple[str, ...],
    is_told: bool,
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    columns = {"customer_id": "c", "occurred_at": "t", "amount": "p", "item_id": "i"}
    run(recipe(tmp_path / "data", {"path": str(path), "columns": columns}))
    assert ("a column without a name holds" in caplog.text) == is_told


@pytest.mark.parametrize(
    ("header", "columns", "told"),
    [
        ("c,t,i,Saldo", {"amount": "Saldo"}, "column 'Saldo' is read as amount"),
        ("c,t,i,total_spent", {"amount": "total_spent"}, "'total_spent' is read as amount"),
        (
            "c,t,i,a,Discount %",
            {"discount": "Discount %"},
            "column 'Discount %' is read as discount",
        ),
        (
            "c,t,qty,UnitPrice",
            {"amount": "UnitPrice"},
            "'UnitPrice' is read as amount, whatever 'qty' says",
        ),
        ("c,t,qty,UnitPrice", {"amount": {"sql": "UnitPrice * qty"}}, None),
        ("c,t,i,price", {"amount": "price"}, None),
        ("c,t,i,a,discount_pct", {"discount": {"sql": "a * discount_pct / 100"}}, None),
    ],
)
def test_columns_whose_name_says_something_else_are_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    header: str,
    columns: dict[str, object],
    told: str | None,
) -> None:
    width = header.count(",") - 1
    rows = [f"c{n % 5},2024-01-{1 + n:02}" + f",{n + 1}" * width for n in range(12)]
    (tmp_path / "x.csv").write_text("\n".join([header, *rows]) + "\n")
    mapped = {"customer_id": "c", "occurred_at": "t", "amount": "a"} | columns
    run(recipe(tmp_path / "data", {"path": str(tmp_path / "x.csv"), "columns": mapped}))
    assert ("is read as" in caplog.text) == (told is not None)
    assert (told or "") in caplog.text
