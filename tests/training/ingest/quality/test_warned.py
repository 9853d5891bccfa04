"""What the log warns of stands in quality.json and on its page."""

import logging
from pathlib import Path

import pytest

from tests.training.ingest.recipes import LOG, log, recipe, run
from training.ingest.quality.warned import kept_warnings


def test_quality_json_holds_every_line_that_the_log_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i{n},{1 + n % 7}.{n:03}" for n in range(100, 160)]
    source = log(tmp_path / "x.csv", *lines, *lines)
    _, report = run(recipe(tmp_path / "data", source, quality_html=True))
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert report["warnings"] == said
    assert any("read as 3." in line for line in said)  # a guess of the reading
    assert any("60 of 120 rows equal an earlier one" in line for line in said)  # found in the whole
    page = (tmp_path / "data" / "quality.html").read_text()
    assert page.count("have three digits behind it") == 1


def test_data_without_a_flaw_have_no_warnings(tmp_path: Path) -> None:
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i{n},{1 + n % 7}.{n:02}" for n in range(10, 70)]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *lines)))
    assert report["warnings"] == []


def test_an_error_ends_the_keeping() -> None:
    before = list(logging.getLogger("training.ingest").handlers)
    with pytest.raises(ValueError, match="broken"), kept_warnings():
        raise ValueError("broken")
    assert logging.getLogger("training.ingest").handlers == before


def days(number: int) -> list[str]:
    return [f"2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(number)]


def test_source_of_which_nothing_is_kept_is_told_with_the_reasons(tmp_path: Path) -> None:
    shop = log(tmp_path / "x.csv", *(f"c{n},{day},i,{n}" for n, day in enumerate(days(30))))
    back = log(tmp_path / "y.csv", *(f"c{n},{day},i,{n}" for n, day in enumerate(days(9))))
    config = recipe(tmp_path / "data", shop, back | {"kind": "refund", "filter": {"sql": "a > 90"}})
    _, report = run(config)
    (told,) = report["warnings"]
    assert told == f"no row of {tmp_path / 'y.csv'} is kept; left out by reason: {{'filter': 9}}"


@pytest.mark.parametrize(("kind", "is_told"), [("cancellation", True), ("view", False)])
def test_money_of_what_is_no_sale_is_told_but_for_prices_that_were_seen(
    tmp_path: Path, kind: str, is_told: bool
) -> None:
    rows = [f"c{n % 9},{day},{'x' if n % 5 else ''},2.5" for n, day in enumerate(days(60))]
    sql = f"CASE WHEN i IS NULL THEN '{kind}' ELSE 'purchase' END"
    source = log(tmp_path / "x.csv", *rows, kind={"sql": sql})
    _, report = run(recipe(tmp_path / "data", source))
    assert report["money_of_other_kinds"] == {kind: 30.0}
    told = [
        f"amounts of kind {kind} come to 30.00 USD: they count neither as revenue nor as refunds"
    ]
    assert report["warnings"] == told * is_told


def test_refunds_whose_orders_are_written_otherwise_are_told(tmp_path: Path) -> None:
    columns = LOG | {"order_id": "i", "item_id": {"sql": "'x'"}}
    rows = [f"c{n % 9},{day},O{n},{10 + n}" for n, day in enumerate(days(60))]
    back = [f"C{row.partition(',')[0][1:]}-x,{row.partition(',')[2]}" for row in rows[::2]]
    shop = log(tmp_path / "x.csv", *rows, columns=columns)
    refunds = log(tmp_path / "y.csv", *back, columns=columns, kind="refund")
    _, report = run(recipe(tmp_path / "data", shop, refunds))
    assert report["refunds"] == {"total": 30, "matched": 0}
    assert report["refunds_named"] == 30
    assert any("only 0 of 30 refunds that name" in line for line in report["warnings"])


@pytest.mark.parametrize(("num_rows", "is_told"), [(65_535, True), (65_534, False)])
def test_file_that_fills_a_sheet_of_excel_is_told(
    tmp_path: Path, num_rows: int, is_told: bool
) -> None:
    rows = [f"c{n % 999},2024-01-{1 + n % 28:02},i{n},{n}.5" for n in range(num_rows)]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *rows)))
    assert any("is it cut off?" in line for line in report["warnings"]) == is_told


@pytest.mark.parametrize(("sql", "is_told"), [("a * 10", True), ("a / 10", False)])
def test_discounts_above_all_revenue_are_told(tmp_path: Path, sql: str, is_told: bool) -> None:
    rows = [f"c{n % 9},{day},i,{n}" for n, day in enumerate(days(60))]
    source = log(tmp_path / "x.csv", *rows, columns=LOG | {"discount": {"sql": sql}})
    _, report = run(recipe(tmp_path / "data", source))
    revenue = sum(range(60))
    assert report["total_discount"] == pytest.approx(revenue * (10 if is_told else 0.1))
    told = [
        f"discounts come to {revenue * 10:.2f} USD, 10.0 times all purchases; are they cents or percents?"
    ]
    assert report["warnings"] == told * is_told


def test_items_of_differing_rows_are_told(tmp_path: Path) -> None:
    rows = [f"c{n % 9},{day},i{n % 5},{n}" for n, day in enumerate(days(60))]
    (tmp_path / "items.csv").write_text("i,p\n" + "".join(f"i{n % 5},{n}\n" for n in range(10)))
    items = {"path": str(tmp_path / "items.csv"), "columns": {"item_id": "i", "price": "p"}}
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *rows), items=items))
    assert report["warnings"][0].startswith("5 of 5 items have rows that differ")


@pytest.mark.parametrize(("num_known", "is_told"), [(40, True), (60, False)])
def test_rows_that_a_lookup_does_not_know_are_told(
    tmp_path: Path, num_known: int, is_told: bool
) -> None:
    rows = [f"c{n % 9},{day},i{n},1" for n, day in enumerate(days(60))]
    known = "".join(f"i{n},{2 + n}\n" for n in range(num_known))
    (tmp_path / "prices.csv").write_text("i,price\n" + known)
    prices = {"path": str(tmp_path / "prices.csv"), "columns": {"p": "price"}}
    columns = LOG | {"amount": {"sql": "COALESCE(p, 0)"}}
    source = log(tmp_path / "x.csv", *rows, columns=columns, lookup=prices, lookup_on="i")
    _, report = run(recipe(tmp_path / "data", source))
    told = "40 of 60 rows (66.7%) find their key"
    assert any(told in line for line in report["warnings"]) == is_told


@pytest.mark.parametrize(("rate", "is_told"), [(155, True), (1 / 155, False)])
def test_a_rate_that_is_the_other_way_round_is_told(
    tmp_path: Path, rate: float, is_told: bool
) -> None:
    rows = [
        f"c{n % 9},{day},{'EUR' if n % 2 else 'JPY'},{n + 1 if n % 2 else 155 * n + 155}"
        for n, day in enumerate(days(60))
    ]
    columns = LOG | {"currency": "i"}
    source = log(tmp_path / "x.csv", *rows, columns=columns)
    config = recipe(tmp_path / "data", source, currency="EUR", rates={"JPY": rate})
    _, report = run(config)
    assert any("is it the other way round?" in line for line in report["warnings"]) == is_told


@pytest.mark.parametrize(("amount", "is_told"), [("0", True), ("1", False), ("", False)])
def test_purchases_that_all_come_to_nothing_are_told(
    tmp_path: Path, amount: str, is_told: bool
) -> None:
    rows = [f"c{n % 9},{day},i{n},{amount or 1}" for n, day in enumerate(days(60))]
    columns = LOG if amount else {name: each for name, each in LOG.items() if name != "amount"}
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *rows, columns=columns)))
    assert report["warnings"] == ["all amounts of purchases are 0"] * is_told


def test_plans_paid_with_nothing_are_told(tmp_path: Path) -> None:
    rows = [f"c{n % 9},{day},month,{n % 3 and 10 + n}" for n, day in enumerate(days(60))]
    columns = LOG | {"plan_days": {"sql": "30"}}
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *rows, columns=columns)))
    assert report["free_plans"] == {"rows": 60, "matched": 20}
    (told,) = [line for line in report["warnings"] if "plan" in line]
    assert told.startswith("20 of 60 payments of a plan have amount 0: ")
    _, report = run(recipe(tmp_path / "other", log(tmp_path / "x.csv", *rows)))
    assert not [line for line in report["warnings"] if "plan" in line], "purchases may be free"


@pytest.mark.parametrize(("days_of_a_plan", "is_told"), [("NULL", True), ("30", False)])
def test_renewals_of_no_known_length_are_told(
    tmp_path: Path, days_of_a_plan: str, is_told: bool
) -> None:
    rows = [f"c{n % 9},{day},month,{10 + n}" for n, day in enumerate(days(60))]
    columns = LOG | {"plan_days": {"sql": days_of_a_plan}}
    source = log(tmp_path / "x.csv", *rows, kind="renewal", columns=columns)
    _, report = run(recipe(tmp_path / "data", source))
    assert report["unplanned_renewals"] == {"rows": 60, "matched": 60 * is_told}
    told = [line for line in report["warnings"] if "60 of 60 renewals have no plan_days" in line]
    assert bool(told) == is_told


@pytest.mark.parametrize(("kind", "is_service"), [("support", True), ("campaign", False)])
def test_costs_of_goods_and_marketing_are_none_of_service(
    tmp_path: Path, kind: str, is_service: bool
) -> None:
    columns = LOG | {"cost": {"sql": "3"}}
    rows = [f"c{n % 9},{day},i,{10 + n}" for n, day in enumerate(days(60))]
    sales = log(tmp_path / "x.csv", *rows, columns=columns)
    others = log(tmp_path / "y.csv", *rows[:20], kind=kind, columns=columns)
    _, report = run(recipe(tmp_path / "data", sales, others))
    number = 20 if is_service else 0
    assert report["models"]["service_cost"] == {
        "supported": is_service,
        "reason": f"needs events of service with a cost: {number}",
    }
