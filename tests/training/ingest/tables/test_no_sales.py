"""Rows of failed payments, cancelled orders and opening balances that a recipe counts as sales."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import recipe, run

COLUMNS = {"customer_id": "c", "occurred_at": "t", "amount": "a"}


def source(path: Path, header: str, *words: str, **changes: object) -> dict[str, object]:
    """Twelve sales, with `words` in turn in the last column."""
    lines = [f"c{n % 5},2024-01-{1 + n:02},10,{words[n % len(words)]}" for n in range(12)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return {"path": str(path), "columns": COLUMNS, **changes}


@pytest.mark.parametrize(
    ("header", "word", "others"),
    [
        ("c,t,a,Status", "Failed", ("Paid", "Paid", "Paid")),
        ("c,t,a,Financial Status", "partially_refunded", ("paid",)),
        ("c,t,a,order_status", "CANCELLED", ("shipped", "complete")),
        ("c,t,a,Zahlungsstatus", "storniert", ("bezahlt",)),
        ("c,t,a,status", "wc-cancelled", ("wc-completed",)),
        ("c,t,a,Status", "Not Paid", ("Paid",)),
        ("c,t,a,Record Type", "Credit Note", ("Invoice",)),
        ("c,t,a,event", "Refunded Order", ("Placed Order", "Ordered Product")),
        ("c,t,a,eventType", "Refund", ("Payment",)),
        ("c,t,a,Belegart", "Gutschrift", ("Rechnung",)),
        ("c,t,a,is_cancelled", "true", ("false",)),
        ("c,t,a,Voided", "Yes", ("No", "no")),
        ("c,t,a,Cancelled at", "2024-01-19 08:00:00 -0500", ("",)),
        ("c,t,a,Refunded Amount", "10.80", ("0.00", "", "0")),
        ("c,t,a,is_test", "true", ("false",)),
        ("c,t,a,void", "1", ("0",)),
        ("c,t,a,debit", "12.50", ("", "0")),
        ("c,t,a,return_qty", "2", ("0",)),
        ("c,t,a,livemode", "false", ("true",)),
        ("c,t,a,Paid", "0", ("1", "1")),
        ("c,t,a,status", "written off", ("Completed",)),
        ("c,t,a,status", "返金済み", ("完了",)),
        ("c,t,a,Type", "CRN", ("INV",)),
        ("c,t,a,text", "Opening balance", ("Fee",)),
        ("c,t,a,Buchungstext", "Saldovortrag 2023", ("Zins",)),
    ],
)
def test_words_that_say_no_sale_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str, word: str, others: tuple[str]
) -> None:
    lines = source(tmp_path / "x.csv", header, word, *others)
    run(recipe(tmp_path / "data", lines))
    number = 12 // (1 + len(others))
    column = header.rpartition(",")[2]
    assert f"12 rows that count as sales {number} have {word!r} in column {column!r}" in caplog.text


@pytest.mark.parametrize(
    ("header", "words", "changes"),
    [
        ("c,t,a,status", ("failed", "paid"), {"filter": {"sql": "status <> 'failed'"}}),
        ("c,t,a,status", ("refunded", "refunded"), {"kind": "refund"}),
        ("c,t,a,text", ("Failed Harvest", "Pending Tray"), {}),
        ("c,t,a,status", ("paid", "active"), {}),
        ("c,t,a,payment_type", ("Credit card", "Bank transfer", "Store credit"), {}),
        ("c,t,a,refundable", ("yes", "true"), {}),
        ("c,t,a,return_policy", ("30 days", "14 days"), {}),
        ("c,t,a,paid_by", ("no", "card"), {}),
        ("c,t,a,test_group", ("1", "0"), {}),
        ("c,t,a,cancelled", ("no", "0", "false", "0.00"), {}),
    ],
)
def test_rows_that_the_recipe_leaves_out_and_other_words_are_not_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    header: str,
    words: tuple[str, ...],
    changes: dict[str, object],
) -> None:
    sold = source(
        tmp_path / "x.csv", "c,t,a,x", "y", columns=COLUMNS | {"amount": {"sql": "a + 1"}}
    )
    run(recipe(tmp_path / "data", sold, source(tmp_path / "y.csv", header, *words, **changes)))
    assert "count as sales" not in caplog.text


@pytest.mark.parametrize(
    ("word", "key", "sql"),
    [
        ("Canceled", "filter", "status <> 'cancelled'"),
        ("Refunded", "kind", "CASE status WHEN 'refunded' THEN 'refund' ELSE 'purchase' END"),
    ],
)
def test_words_that_a_filter_or_kind_writes_otherwise_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, word: str, key: str, sql: str
) -> None:
    lines = source(tmp_path / "x.csv", "c,t,a,status", word, "paid", **{key: {"sql": sql}})
    run(recipe(tmp_path / "data", lines))
    assert f"12 rows that count as sales 6 have {word!r} in column 'status'" in caplog.text


def test_column_of_signs_is_told_unless_kind_reads_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = source(tmp_path / "x.csv", "c,t,a,Soll/Haben-Kennzeichen", "S", "H")
    run(recipe(tmp_path / "data", lines))
    assert "sales have ['H', 'S'] in column 'Soll/Haben-Kennzeichen'" in caplog.text
    caplog.clear()
    sql = "CASE \"Soll/Haben-Kennzeichen\" WHEN 'H' THEN 'refund' ELSE 'purchase' END"
    run(recipe(tmp_path / "kinds", lines | {"kind": {"sql": sql}}))
    assert "went back" not in caplog.text


@pytest.mark.parametrize(
    ("kind", "is_told"),
    [("purchase", True), ({"sql": "CASE WHEN x < 0 THEN 'refund' ELSE 'purchase' END"}, False)],
)
def test_signs_that_an_amount_loses_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: object, is_told: bool
) -> None:
    columns = COLUMNS | {"amount": {"sql": "ABS(x)"}}
    lines = source(tmp_path / "x.csv", "c,t,a,x", "5", "-5", columns=columns, kind=kind)
    run(recipe(tmp_path / "data", lines))
    assert ("column 'x' has both signs" in caplog.text) == is_told


@pytest.mark.parametrize(
    ("name", "changes", "is_told"),
    [
        ("refunds", {}, True),
        ("Gutschriften_2024", {}, True),
        ("sales-returns", {}, True),
        ("refunds", {"kind": {"sql": "CASE WHEN a > 9 THEN 'purchase' ELSE 'refund' END"}}, False),
        ("returning_customers", {}, False),
        ("refunds", {"kind": "refund"}, False),
    ],
)
def test_file_named_after_refunds_that_counts_as_sales_is_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    changes: dict[str, object],
    is_told: bool,
) -> None:
    run(recipe(tmp_path / "data", source(tmp_path / f"{name}.csv", "c,t,a,x", "y", **changes)))
    assert ("by its name it may hold refunds" in caplog.text) == is_told


def test_flags_that_are_no_texts_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    days = [datetime(2024, 1, 1), datetime(2024, 1, 2)]
    table = {"c": ["1", "2"], "t": days, "a": [5.0, 6.0]}
    flags = {"is_voided": [False, True], "cancelled_at": [None, days[1]]}
    pl.DataFrame(table | flags).write_parquet(tmp_path / "x.parquet")
    lines = {"path": str(tmp_path / "x.parquet"), "format": "parquet", "columns": COLUMNS}
    run(recipe(tmp_path / "data", lines))
    assert "2 rows that count as sales 1 have 'true' in column 'is_voided'" in caplog.text
    assert "1 have '2024-01-02 00:00:00.000000' in column 'cancelled_at'" in caplog.text


def test_a_filter_of_another_column_is_heeded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = source(tmp_path / "x.csv", "c,t,a,status", "failed", "paid")
    kept = lines | {"filter": {"sql": "CAST(SUBSTR(t, 9, 2) AS INT) % 2 = 0"}}
    run(recipe(tmp_path / "data", kept))
    assert "count as sales" not in caplog.text
