"""Currencies in the names of columns of money: never added up, nor called by another."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import recipe, run
from training.ingest.job import ingest
from training.ingest.tables.currencies.named import code_in_name


def source(path: Path, header: str, amount: object, *lines: str) -> dict[str, object]:
    path.write_text("\n".join([header, *lines]) + "\n")
    return {
        "path": str(path),
        "columns": {"customer_id": "c", "occurred_at": "t", "amount": amount},
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("total_eur", "EUR"),
        ("Total (USD)", "USD"),
        ("amountGbp", "GBP"),
        ("Betrag in €", "EUR"),
        ("Betrag Euro", "EUR"),
        ("Umsatz [CHF]", "CHF"),
        ("eur_usd", None),
        ("neuro", None),
        ("try", None),
        ("weight in pounds", None),
        ("order_total", None),
    ],
)
def test_currency_of_a_name(name: str, code: str | None) -> None:
    assert code_in_name(name) == code


def test_columns_of_two_currencies_are_not_added_up(tmp_path: Path) -> None:
    dollars = source(tmp_path / "x.csv", "c,t,price_usd", "price_usd", "1,2024-01-01,5")
    euros = source(tmp_path / "y.csv", "c,t,price_eur", "price_eur", "2,2024-01-01,5")
    with pytest.raises(
        ValueError, match="several currencies.*USD .*'price_usd'.*EUR .*'price_eur'"
    ):
        ingest(recipe(tmp_path / "data", dollars, euros))
    both = source(
        tmp_path / "z.csv", "c,t,usd,eur", {"sql": "COALESCE(usd, eur)"}, "1,2024-01-01,,5"
    )
    with pytest.raises(ValueError, match="several currencies"):
        ingest(recipe(tmp_path / "data", both))


def test_files_named_after_two_currencies_are_not_added_up(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    dollars = source(tmp_path / "in" / "orders_usd.csv", "c,t,a", "a", "1,2024-01-01,5")
    source(tmp_path / "in" / "orders_eur.csv", "c,t,a", "a", "2,2024-01-01,5")
    folder = dollars | {"path": str(tmp_path / "in")}
    with pytest.raises(ValueError, match="several currencies.*EUR .*_eur.csv.*USD .*_usd.csv"):
        ingest(recipe(tmp_path / "data", folder))
    events, _ = run(recipe(tmp_path / "data", dollars))
    assert events["amount"].to_list() == [5.0]


def test_another_currency_than_the_recipes_is_refused_where_it_states_one_and_told_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = source(tmp_path / "x.csv", "c,t,Total (EUR)", "Total (EUR)", "1,2024-01-01,5")
    with pytest.raises(ValueError, match="column 'Total .EUR.' says EUR; the recipe says .* GBP"):
        ingest(recipe(tmp_path / "pounds", lines, currency="GBP"))
    run(recipe(tmp_path / "dollars", lines))
    assert "says EUR; the recipe says currency: USD" in caplog.text
    caplog.clear()
    run(recipe(tmp_path / "euros", lines, currency="EUR"))
    assert "says EUR" not in caplog.text


@pytest.mark.parametrize("amount", ["usd * 0.92", "usd * rate", "usd / fx_usd"])
def test_money_that_the_recipe_converts_is_in_its_currency(tmp_path: Path, amount: str) -> None:
    lines = source(tmp_path / "x.csv", "c,t,usd,rate,fx_usd", {"sql": amount}, "1,2024-01-01,5,2,2")
    events, _ = run(recipe(tmp_path / "data", lines, currency="EUR"))
    assert events.height == 1
