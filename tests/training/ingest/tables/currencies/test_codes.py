"""Currencies told by numbers, and by signs in the cells of the money itself."""

from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import recipe, run
from tests.training.ingest.tables.currencies.test_unmapped import amounts, plain
from training.ingest.job import ingest


@pytest.mark.parametrize("name", ["currency", "currency_code", "id_currency", "WAERS"])
def test_numbers_of_currencies_are_not_added_up(tmp_path: Path, name: str) -> None:
    lines = ("1,2024-01-01,5,978", "1,2024-01-02,8,840")
    source = plain(tmp_path / "x.csv", f"c,t,a,{name}", *lines)
    with pytest.raises(ValueError, match=f"several currencies.*840 .*{name}.*978"):
        ingest(recipe(tmp_path / "data", source))
    table = pl.read_csv(tmp_path / "x.csv")
    table.write_parquet(tmp_path / "x.parquet")
    typed = source | {"path": str(tmp_path / "x.parquet"), "format": "parquet"}
    with pytest.raises(ValueError, match=f"several currencies.*840 .*{name}.*978"):
        ingest(recipe(tmp_path / "data", typed))


def test_one_number_of_a_currency_and_numbers_that_are_none_are_read(tmp_path: Path) -> None:
    one = plain(tmp_path / "x.csv", "c,t,a,id_currency", "1,2024-01-01,5,1", "1,2024-01-02,8,1")
    rates = plain(tmp_path / "y.csv", "c,t,a,currency_rate", "1,2024-02-01,5,1", "1,2024-02-02,8,2")
    events, _ = run(recipe(tmp_path / "data", one, rates, currency="EUR"))
    assert amounts(events) == [5, 8, 5, 8]


@pytest.mark.parametrize(
    "sql", ["CAST(SUBSTR(a, 2) AS DOUBLE)", "REPLACE(REPLACE(a, '€', ''), '$', '')"]
)
def test_signs_that_the_recipe_cuts_from_money_are_not_added_up(tmp_path: Path, sql: str) -> None:
    columns = {"customer_id": "c", "occurred_at": "t", "amount": {"sql": sql}}
    source = plain(
        tmp_path / "x.csv", "c,t,a", "1,2024-01-01,€5", "1,2024-01-02,$8", columns=columns
    )
    with pytest.raises(ValueError, match=r"several currencies.*\$|several currencies.*USD"):
        ingest(recipe(tmp_path / "data", source))
    one = plain(tmp_path / "x.csv", "c,t,a", "1,2024-01-01,€5", "1,2024-01-02,€8", columns=columns)
    events, _ = run(recipe(tmp_path / "data", one))
    assert amounts(events) == [5, 8]


def test_texts_that_decide_on_a_rate_are_no_money(tmp_path: Path) -> None:
    amount = {"sql": "CASE shop WHEN 'USD' THEN a * 0.9 ELSE a * 1.0 END"}
    columns = {"customer_id": "c", "occurred_at": "t", "amount": amount}
    lines = ("1,2024-01-01,5,EUR", "1,2024-01-02,10,USD")
    source = plain(tmp_path / "x.csv", "c,t,a,shop", *lines, columns=columns)
    events, _ = run(recipe(tmp_path / "data", source, currency="EUR"))
    assert amounts(events) == [5, 9]
