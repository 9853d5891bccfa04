"""Money whose currency stands in a column that the recipe does not map."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import log, recipe, run
from training.ingest.job import ingest


def amounts(events: pl.DataFrame) -> list[float]:
    return events["amount"].to_list()


def plain(path: Path, header: str, *lines: str, **changes: object) -> dict[str, object]:
    """A source whose recipe does not know of currencies."""
    path.write_text("\n".join([header, *lines]) + "\n")
    columns = {"customer_id": "c", "occurred_at": "t", "amount": "a"}
    return {"path": str(path), "columns": columns, **changes}


@pytest.mark.parametrize(
    "name",
    [
        "Currency",
        "order_currency",
        "orderCurrencyCode",
        "Währung",
        "Währg",
        "presentment_currency",
        "WAERS",
        "Curr.",
        "cur",
        "Ccy",
        "Devise",
        "Moneda",
        "Valuta",
        "monnaie",
    ],
)
def test_currencies_that_the_recipe_does_not_map_are_not_added_up(
    tmp_path: Path, name: str
) -> None:
    lines = ("1,2024-01-01,5,EUR", "1,2024-01-02,800,JPY")
    source = plain(tmp_path / "x.csv", f"c,t,a,{name}", *lines)
    with pytest.raises(ValueError, match=f"several currencies.*EUR .*{name}.*JPY"):
        ingest(recipe(tmp_path / "data", source))


def test_two_files_of_one_currency_each_are_not_added_up(tmp_path: Path) -> None:
    euros = plain(tmp_path / "x.csv", "c,t,a,currency", "1,2024-01-01,5,EUR")
    yen = plain(tmp_path / "y.csv", "c,t,a,ccy", "1,2024-01-01,5,JPY")
    with pytest.raises(ValueError, match="EUR .*x.csv.*JPY .*y.csv"):
        ingest(recipe(tmp_path / "data", euros, yen))


def test_one_currency_that_the_recipe_calls_otherwise_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = plain(tmp_path / "x.csv", "c,t,a,currency", "1,2024-01-01,5,EUR", "1,2024-01-02,,JPY")
    run(recipe(tmp_path / "data", source))
    assert "x.csv, column 'currency' says EUR; the recipe says currency: USD" in caplog.text


def test_recipe_may_keep_one_currency_or_compute_with_the_column_itself(tmp_path: Path) -> None:
    lines = ("1,2024-01-01,5,EUR", "1,2024-01-02,800,JPY")
    one = plain(tmp_path / "x.csv", "c,t,a,currency", *lines, filter={"sql": "currency = 'EUR'"})
    events, report = run(recipe(tmp_path / "one", one, currency="EUR"))
    assert (amounts(events), report["rows_dropped"]) == ([5.0], {"filter": 1})
    own = plain(tmp_path / "y.csv", "c,t,a,currency", *lines)
    sql = "CASE WHEN currency = 'JPY' THEN a * 0.01 ELSE a END"
    own["columns"] = {"customer_id": "c", "occurred_at": "t", "amount": {"sql": sql}}
    events, _ = run(recipe(tmp_path / "own", own, currency="EUR"))
    assert amounts(events) == [5.0, 8.0]


def test_other_currency_than_a_stated_one_is_refused(tmp_path: Path) -> None:
    mapped = plain(tmp_path / "x.csv", "c,t,a,cur", "1,2024-01-05,100,EUR", "2,2024-01-06,100,USD")
    mapped["columns"] = {"customer_id": "c", "occurred_at": "t", "amount": "a", "currency": "cur"}
    dollars = plain(tmp_path / "y.csv", "c,t,a,currency", "3,2024-01-07,100,USD")
    rates = {"USD": 0.9}
    with pytest.raises(ValueError, match="y.csv, column 'currency' says USD; .* currency: EUR"):
        ingest(recipe(tmp_path / "data", mapped, dollars, currency="EUR", rates=rates))
    dollars["columns"] = {**mapped["columns"], "currency": "currency"}
    events, _ = run(recipe(tmp_path / "data", mapped, dollars, currency="EUR", rates=rates))
    assert amounts(events) == pytest.approx([100.0, 90.0, 90.0])


@pytest.mark.parametrize(
    "stated", [{"currency": "USD"}, {"rates": {"JPY": 0.006}}], ids=["currency", "rates"]
)
def test_one_currency_beside_a_stated_one_is_refused(
    tmp_path: Path, stated: dict[str, object]
) -> None:
    source = plain(tmp_path / "x.csv", "c,t,a,currency", "1,2024-01-01,5,EUR")
    with pytest.raises(ValueError, match="says EUR; the recipe says currency: USD"):
        ingest(recipe(tmp_path / "data", source, **stated))
    source["columns"] = {
        "customer_id": "c",
        "occurred_at": "t",
        "amount": "a",
        "currency": {"sql": "'USD'"},
    }
    events, _ = run(recipe(tmp_path / "data", source, **stated))
    assert amounts(events) == [5.0]


@pytest.mark.parametrize(
    "values",
    [
        ("EUR", "JPY"),
        ("US Dollar", "Japanese Yen"),
        ("US$", "C$"),
        ("kr", "zł"),
        ("£", "€"),
        ("GBP", "GBp"),
        ("usd", "Euros"),
    ],
)
def test_columns_whose_values_are_currencies_need_no_name(
    tmp_path: Path, values: tuple[str, str]
) -> None:
    lines = [f"{number},2024-01-0{number},5,{text}" for number, text in enumerate(values, start=1)]
    source = plain(tmp_path / "x.csv", "c,t,a,k7", *lines)
    with pytest.raises(ValueError, match="several currencies.*k7"):
        ingest(recipe(tmp_path / "data", source))


@pytest.mark.parametrize(
    "values",
    [
        ("ALL", "TOP"),
        ("USD", "Berlin"),
        ("MAD", "PEN"),
        ("KR", "RS"),
        ("EUR", "EUR"),
        ("$", "USD"),
        ("", "EUR"),
        ("S", "M"),
    ],
)
def test_columns_of_other_short_texts_tell_no_currency(
    tmp_path: Path, values: tuple[str, str]
) -> None:
    lines = [f"{number},2024-01-0{number},5,{text}" for number, text in enumerate(values, start=1)]
    source = plain(tmp_path / "x.csv", "c,t,a,k7", *lines)
    events, _ = run(recipe(tmp_path / "data", source, currency="USD"))
    assert amounts(events) == [5.0, 5.0]


def test_columns_named_so_may_hold_other_things_than_codes(tmp_path: Path) -> None:
    lines = ("1,2024-01-01,5,1.08,yes", "1,2024-01-02,5,1.09,no")
    source = plain(tmp_path / "x.csv", "c,t,a,currency_rate,currency_converted", *lines)
    events, _ = run(recipe(tmp_path / "data", source, currency="USD"))
    assert amounts(events) == [5.0, 5.0]


def test_later_rows_of_a_sampled_column_are_read(tmp_path: Path) -> None:
    lines = ["1,2024-01-01,5,EUR"] * 1500 + ["1,2024-01-02,800,JPY"]
    source = plain(tmp_path / "x.csv", "c,t,a,k7", *lines)
    with pytest.raises(ValueError, match="several currencies.*EUR .*JPY "):
        ingest(recipe(tmp_path / "data", source))


def nested(path: Path, sql: str, *amounts: object) -> dict[str, object]:
    rows = [
        {"c": str(number), "t": f"2024-01-0{number}", "a": amount}
        for number, amount in enumerate(amounts, start=1)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    columns = {"customer_id": "c", "occurred_at": "t", "amount": {"sql": sql}}
    return {"path": str(path), "format": "json", "columns": columns}


def test_objects_that_money_comes_from_tell_its_currency(tmp_path: Path) -> None:
    euro, yen = {"v": 1, "currency": "EUR"}, {"v": 1000, "currency": "JPY"}
    source = nested(tmp_path / "x.jsonl", "a.v", euro, yen)
    with pytest.raises(ValueError, match="several currencies.*column 'a.currency'"):
        ingest(recipe(tmp_path / "data", source))
    inner = nested(tmp_path / "y.jsonl", "a.b.v", {"b": euro}, {"b": yen})
    with pytest.raises(ValueError, match="several currencies.*column 'a.b.currency'"):
        ingest(recipe(tmp_path / "data", inner))
    apart = [{**money, "currency": {"code": money["currency"]}} for money in (euro, yen)]
    deep = nested(tmp_path / "d.jsonl", "a.v", *apart)
    with pytest.raises(ValueError, match="several currencies.*column 'a.currency.code'"):
        ingest(recipe(tmp_path / "data", deep))
    sql = "CASE WHEN a.currency = 'JPY' THEN a.v * 0.01 ELSE a.v END"
    own = nested(tmp_path / "z.jsonl", sql, euro, yen)
    events, _ = run(recipe(tmp_path / "own", own, currency="EUR"))
    assert amounts(events) == [1.0, 10.0]


def test_objects_that_money_does_not_come_from_may_have_other_currencies(tmp_path: Path) -> None:
    both = [
        {"shop": {"v": 5, "currency": "USD"}, "shown": {"v": 4, "currency": code}}
        for code in ("EUR", "JPY")
    ]
    source = nested(tmp_path / "x.jsonl", "a.shop.v", *both)
    events, _ = run(recipe(tmp_path / "data", source, currency="USD"))
    assert amounts(events) == [5.0, 5.0]


def test_costs_in_several_currencies_are_not_added_up_either(tmp_path: Path) -> None:
    sales = plain(tmp_path / "x.csv", "c,t,a", "1,2024-01-05,100")
    lines = ("1,2024-01-07,5,USD", "1,2024-01-08,500,JPY")
    calls = plain(tmp_path / "y.csv", "c,t,k,currency", *lines, kind="support")
    calls["columns"] = {"customer_id": "c", "occurred_at": "t", "cost": "k"}
    with pytest.raises(ValueError, match="several currencies.*JPY .*y.csv.*USD .*y.csv"):
        ingest(recipe(tmp_path / "data", sales, calls))


def test_orders_that_are_counted_have_no_currency(tmp_path: Path) -> None:
    lines = ("1,2024-01-01,5,EUR", "1,2024-01-02,800,JPY")
    source = plain(tmp_path / "x.csv", "c,t,a,currency", *lines)
    source["columns"] = {"customer_id": "c", "occurred_at": "t", "amount": 1}
    events, _ = run(recipe(tmp_path / "data", source))
    assert amounts(events) == [1.0, 1.0]


def test_prices_of_items_in_several_currencies_are_refused(tmp_path: Path) -> None:
    source = log(tmp_path / "x.csv", "1,2024-01-05,x,100")
    (tmp_path / "i.csv").write_text("i,p,currency\nx,1000,JPY\ny,5,EUR\n")
    columns = {"item_id": "i", "price": "p"}
    table = {"path": str(tmp_path / "i.csv"), "columns": columns}
    with pytest.raises(ValueError, match="several currencies.*EUR .*i.csv.*JPY .*i.csv"):
        ingest(recipe(tmp_path / "data", source, items=table))
    table["columns"] = {"item_id": "i", "title": "p"}
    run(recipe(tmp_path / "data", source, items=table))


def test_columns_that_the_recipe_does_not_use_need_not_be_text(tmp_path: Path) -> None:
    rows = {"c": ["1"], "t": ["2024-01-01"], "a": [5.0], "raw": [b"\xff\xfe\x00"], "k7": ["EUR"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "x.parquet")
    columns = {"customer_id": "c", "occurred_at": "t", "amount": "a"}
    source = {"path": str(tmp_path / "x.parquet"), "format": "parquet", "columns": columns}
    events, _ = run(recipe(tmp_path / "data", source))
    assert amounts(events) == [5.0]
