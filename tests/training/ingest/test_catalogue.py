from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from training.ingest.catalogue import LineCatalogue, read_customer_table, read_item_table
from training.ingest.currencies import exchange_of
from training.ingest.dates import Span
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.sources import Table
from training.results.quality import TableRows

DOLLARS = exchange_of("USD", {}, None, ReadCounts(), is_stated=False)
EVER = Span(date.min, date.max)


def table(path: Path, text: str, **columns: str) -> Table:
    path.write_text(text)
    return Table.model_validate({"path": str(path), "columns": columns})


def lines(*rows: tuple[str | None, str | None, float, float], day: int = 1) -> pl.DataFrame:
    schema = {"item_id": pl.String, "text": pl.String, "quantity": pl.Float64, "amount": pl.Float64}
    at = pl.lit(datetime(2024, 1, day, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        kind=pl.lit("purchase"), occurred_at=at
    )


def test_derived_catalogue_takes_the_first_title_and_the_median_price_of_lines() -> None:
    catalogue = LineCatalogue()
    catalogue.add(
        lines(("A", "renamed", 1, 2.0), ("A", "renamed", 2, 4.0), ("A", "renamed", 1, 9.0), day=9)
    )
    catalogue.add(
        lines(
            ("A", None, 1, 2.0),
            ("A", "lamp", 1, 2.0),
            ("A", "LAMP", 1, 2.0),
            ("A", "LAMP", 1, 2.0),
            day=2,
        )
    )
    catalogue.add(lines(("A", "lamp?", 0, 0.0), ("B", "box", 4, 1.0), (None, "x", 1, 1.0), day=7))
    items = catalogue.items(EVER)
    assert items.select("item_id", "title", "price").rows() == [
        ("A", "LAMP", 2.0),
        ("B", "box", 0.25),
    ]
    assert items.columns == ["item_id", "title", "category", "price", "description"]


def test_lines_from_a_day_on_do_not_change_what_was_known_of_an_item() -> None:
    early = lines(("A", "lamp", 1, 2.0))
    late = lines(("A", "chair", 1, 2.0), ("A", "chair", 1, 2.0), day=20)
    alone = LineCatalogue()
    together = LineCatalogue()
    alone.add(early)
    together.add(pl.concat([late, early]))
    assert (
        alone.items(EVER)["title"].to_list() == together.items(EVER)["title"].to_list() == ["lamp"]
    )


def test_returned_lines_and_contacts_describe_items_as_little_as_they_should() -> None:
    catalogue = LineCatalogue()
    contact = lines(("A", "where is my lamp", 1, 1.0)).with_columns(kind=pl.lit("support"))
    review = lines(("A", "love it", 1, 1.0)).with_columns(kind=pl.lit("review"))
    catalogue.add(pl.concat([contact, review]))
    assert catalogue.items(EVER)["title"].to_list() == [None]
    assert LineCatalogue().items(EVER).is_empty()


def test_returns_that_count_upwards_do_not_move_prices() -> None:
    catalogue = LineCatalogue()
    catalogue.add(lines(("A", "lamp", 1, 5.0)))
    catalogue.add(
        lines(*[("A", "lamp", 1, -5.0)] * 3, ("B", "box", 1, -4.0)).with_columns(
            kind=pl.lit("refund")
        )
    )
    assert catalogue.items(EVER).select("item_id", "price").rows() == [("A", 5.0), ("B", None)]


def test_item_table_keeps_other_columns_and_counts_contradictions(tmp_path: Path) -> None:
    text = (
        "id,name,brand,price\n2,box,X,1\n1,lamp,Y,2\n1,Lamp,Y,2\n1,lamp,Y,2\n3,jar,Z,\n3,jar,Z,\n"
    )
    given = table(
        tmp_path / "i.csv", text, item_id="id", title="name", brand="brand", price="price"
    )
    quality = ReadCounts()
    items = read_item_table(given, quality, DOLLARS)
    assert items.select("item_id", "title", "price", "brand").rows() == [
        ("1", "lamp", 2.0, "Y"),
        ("2", "box", 1.0, "X"),
        ("3", "jar", None, "Z"),
    ]
    assert quality.num_conflicting_items == 1
    assert quality.tables["items"] == TableRows(read=6, kept=3, dropped={"repeated": 3})


def test_customers_may_be_repeated_but_not_contradict_each_other(tmp_path: Path) -> None:
    text = "id,age\n2.0,31\n1,40\n2,31\n,50\n"
    quality = ReadCounts()
    given = table(tmp_path / "c.csv", text, customer_id="id", age="age")
    customers = read_customer_table(given, quality)
    assert customers.rows() == [("1", 40.0), ("2", 31.0)]
    left_out = {"missing_customer_id": 1, "repeated": 1}
    assert quality.tables["customers"] == TableRows(read=4, kept=2, dropped=left_out)
    with pytest.raises(
        ValueError, match=r"two rows contradict each other for '2': \{'age': \('31', '32'\)\}"
    ):
        contradicting = table(tmp_path / "c.csv", text + "2,32\n", customer_id="id", age="age")
        read_customer_table(contradicting, quality)


def test_tables_need_their_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="items.columns needs item_id"):
        read_item_table(table(tmp_path / "i.csv", "id\n1\n", title="id"), ReadCounts(), DOLLARS)
    with pytest.raises(ValueError, match="customers.columns needs customer_id"):
        read_customer_table(table(tmp_path / "c.csv", "id\n1\n", age="id"), ReadCounts())


def test_columns_of_items_may_have_any_name(tmp_path: Path) -> None:
    given = table(tmp_path / "i.csv", "id,lines\n1,5\n1,5\n1,6\n", item_id="id", lines="lines")
    assert read_item_table(given, ReadCounts(), DOLLARS).select("item_id", "lines").rows() == [
        ("1", "5")
    ]
