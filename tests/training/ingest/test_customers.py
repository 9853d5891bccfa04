"""The table of customers: attributes, discount rates, and what is declared usable."""

from pathlib import Path

import polars as pl
import pytest

from lifecycle.features.attributes import read_customers
from tests.training.ingest.recipes import log, recipe, run
from training.ingest.job import ingest


def test_discount_rates_of_customers_are_numbers_in_range(tmp_path: Path) -> None:
    source = log(tmp_path / "a.csv", "1,2024-01-01,A,5")
    people = {
        "path": str(tmp_path / "people.csv"),
        "columns": {"customer_id": "id", "annual_discount_rate": "rate"},
    }
    (tmp_path / "people.csv").write_text("id,rate\n1,0.25\n2,\n")
    run(recipe(tmp_path / "data", source, customers=people))
    assert read_customers(tmp_path / "data").rows() == [("1", 0.25), ("2", None)]
    for rate, message in (
        ("-1", "annual_discount_rate of '1' is -1.0; it must lie from -0.9 to 10"),
        ("much", "'much'"),
    ):
        (tmp_path / "people.csv").write_text(f"id,rate\n1,{rate}\n")
        with pytest.raises(ValueError, match=message):
            ingest(recipe(tmp_path / "other", source, customers=people))


def test_attributes_are_numbers_by_the_decimal_sign_of_their_table_and_codes_stay_codes(
    tmp_path: Path,
) -> None:
    source = log(tmp_path / "a.csv", "1,2024-01-01,A,5")
    columns = {"customer_id": "id", "points": "points", "zip": "zip", "city": "city"}
    people = {
        "path": str(tmp_path / "people.csv"),
        "delimiter": ";",
        "decimal": ",",
        "columns": columns,
    }
    (tmp_path / "people.csv").write_text("id;points;zip;city\n1;1.234,5;00501;\n2;999;10115;\n")
    run(recipe(tmp_path / "data", source, customers=people))
    customers = pl.read_parquet(tmp_path / "data" / "customers.parquet")
    assert customers["points"].to_list() == [1234.5, 999.0] and customers["zip"].to_list() == [
        "00501",
        "10115",
    ]
    assert customers["city"].dtype == pl.String


def test_declared_attribute_that_is_not_mapped(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id\n1\n")
    people = {
        "path": str(tmp_path / "people.csv"),
        "columns": {"customer_id": "id"},
        "usable_for_prediction": {"age": True},
    }
    source = log(tmp_path / "a.csv", "1,2024-01-01,A,5")
    with pytest.raises(ValueError, match="usable_for_prediction.age: not among customers.columns"):
        ingest(
            recipe(
                tmp_path / "data",
                source,
                customers=people | {"usable_for_prediction": {"age": True}},
            )
        )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            ["10.500", "950", "12.000"] * 4,
            "all numbers of column 'income' with '.' have three digits",
        ),
        (
            ["k.A."] + ["1000"] * 19,
            "column 'income' is text, since 1 of 20 values are no numbers, such as 'k.A.'",
        ),
        (["10.5", "950", "12.25"] * 4, None),
        (["5+"] + ["1", "2", "3"] * 6, None),
        (["low", "high", "12"] * 4, None),
    ],
)
def test_attributes_that_can_be_read_two_ways_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, values: list[str], told: str | None
) -> None:
    source = log(tmp_path / "a.csv", "1,2024-01-01,A,5")
    rows = "".join(f"{n + 1},{value}\n" for n, value in enumerate(values))
    (tmp_path / "people.csv").write_text("id,income\n" + rows)
    people = {
        "path": str(tmp_path / "people.csv"),
        "columns": {"customer_id": "id", "income": "income"},
        "usable_for_prediction": {"income": True},
    }
    run(recipe(tmp_path / "data", source, customers=people))
    assert ("customers: " in caplog.text) == (told is not None)
    assert (told or "") in caplog.text
