from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tests.training.ingest.recipes import log, recipe, run
from training.ingest.job import ingest

COLUMNS = {"customer_id": "c", "occurred_at": "t", "amount": "a", "currency": "i"}
LINES = (
    "1,2024-01-01,EUR,10",
    "1,2024-01-02,usd,10",
    "2,2024-03-01,JPY,1000",
    "2,2024-03-02,EUR,1",
)


def amounts(events: pl.DataFrame) -> list[float]:
    return events["amount"].to_list()


def test_money_is_converted_before_it_is_added_up(tmp_path: Path) -> None:
    source = log(tmp_path / "x.csv", *LINES, columns=COLUMNS)
    rates = {"USD": 0.9, "JPY": {"2024-01-01": 0.006, "2024-03-01": 0.007, "2024-03-02": 0.008}}
    events, report = run(recipe(tmp_path / "data", source, currency="EUR", rates=rates))
    assert amounts(events) == pytest.approx([10.0, 9.0, 7.0, 1.0])
    assert report["account"]["kept"]["purchases"] == pytest.approx(27.0)
    assert {code: money["rows"] for code, money in report["currencies"].items()} == {
        "EUR": 2,
        "JPY": 1,
        "USD": 1,
    }
    assert report["currencies"]["USD"]["purchases"] == pytest.approx(9.0)


def test_costs_and_discounts_are_money_too_and_rows_left_out_are_converted(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "c,t,a,d,k,cur,status\n1,2024-01-01,10,2,4,USD,paid\n1,2024-01-01,30,,,USD,void\n"
    )
    columns = {**COLUMNS, "currency": "cur", "discount": "d", "cost": "k"}
    source = {
        "path": str(tmp_path / "x.csv"),
        "columns": columns,
        "filter": {"void": {"sql": "status <> 'void'"}},
    }
    events, report = run(recipe(tmp_path / "data", source, currency="EUR", rates={"USD": 0.5}))
    assert events.select("amount", "discount", "cost").row(0) == (5.0, 1.0, 2.0)
    assert report["account"]["dropped"]["filter:void"]["purchases"] == 15.0


def test_rates_of_a_table_hold_from_their_dates_on(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text(
        "day;code;per_eur\n2024-01-01;JPY;0,006\n2024-03-01;JPY;0,007\n2023-01-01;USD;0,9\n"
    )
    table = {
        "path": str(tmp_path / "rates.csv"),
        "delimiter": ";",
        "decimal": ",",
        "columns": {"currency": "code", "date": "day", "rate": "per_eur"},
    }
    source = log(tmp_path / "x.csv", *LINES, columns=COLUMNS)
    events, _ = run(recipe(tmp_path / "data", source, currency="EUR", rates_table=table))
    assert amounts(events) == pytest.approx([10.0, 9.0, 7.0, 1.0])


@pytest.mark.parametrize(
    ("rates", "lines", "message"),
    [
        ({}, LINES, "x.csv, row 2 after the header: currency is 'USD'; say rates.USD"),
        (
            {"USD": {"2024-02-01": 1.0}},
            LINES[:2],
            "row 2 after the header: rates.USD begin after 2024-01-02",
        ),
        ({}, ("1,2024-01-01,,5",), "row 1 after the header: has money and no currency"),
        ({"EUR": 2.0}, LINES[:1], "rates.EUR is 2.0; the shop's own currency has rate 1"),
        ({"usd": 2.0, "USD": 3.0}, LINES[:2], "rates.USD: two rates hold from 0001-01-01 on"),
    ],
)
def test_money_without_a_rate_is_refused(
    tmp_path: Path, rates: dict[str, object], lines: tuple[str, ...], message: str
) -> None:
    source = log(tmp_path / "x.csv", *lines, columns=COLUMNS)
    with pytest.raises(ValueError, match=message):
        ingest(recipe(tmp_path / "data", source, currency="EUR", rates=rates))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("rate", [0, -1, "x"])
def test_rate_must_be_a_number_above_0(tmp_path: Path, rate: object) -> None:
    source = log(tmp_path / "x.csv", *LINES, columns=COLUMNS)
    with pytest.raises(ValidationError, match=r"rates\.USD"):
        recipe(tmp_path / "data", source, rates={"USD": rate})


def test_hundredths_have_a_rate_of_their_own_and_small_letters_mean_the_code(
    tmp_path: Path,
) -> None:
    lines = ("1,2024-01-01,GBP,2", "1,2024-01-02,gbp,3", "1,2024-01-03,GBp,450")
    source = log(tmp_path / "x.csv", *lines, columns=COLUMNS)
    events, report = run(recipe(tmp_path / "data", source, currency="GBP", rates={"GBp": 0.01}))
    assert amounts(events) == pytest.approx([2.0, 3.0, 4.5])
    assert {code: money["rows"] for code, money in report["currencies"].items()} == {
        "GBP": 2,
        "GBp": 1,
    }
    with pytest.raises(
        ValueError, match="row 3 after the header: currency is 'GBp'; say rates.GBp"
    ):
        ingest(recipe(tmp_path / "without", source, currency="GBP"))


def items(path: Path, *lines: str) -> dict[str, object]:
    path.write_text("\n".join(["i,p,cur", *lines]) + "\n")
    return {"path": str(path), "columns": {"item_id": "i", "price": "p", "currency": "cur"}}


def test_prices_of_items_are_converted_before_lines_of_one_item_are_merged(tmp_path: Path) -> None:
    source = log(tmp_path / "x.csv", "1,2024-01-05,x,100")
    table = items(tmp_path / "i.csv", "x,1000,jpy", "x,6,EUR", "y,7,EUR", "z,,", "free,0,")
    run(recipe(tmp_path / "data", source, currency="EUR", rates={"JPY": 0.006}, items=table))
    found = pl.read_parquet(tmp_path / "data" / "items.parquet")
    assert dict(found.select("item_id", "price").iter_rows()) == {
        "x": 6.0,
        "y": 7.0,
        "z": None,
        "free": 0.0,
    }
    assert "currency" not in found.columns


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,5,USD", "the price of 'x' is in 'USD'; say rates.USD, how much EUR one USD is"),
        ("x,5,", "the price of 'x' has no currency"),
        ("x,5,JPY", "the price of 'x' is in JPY, whose rates change, and prices have no date"),
    ],
)
def test_prices_without_one_lasting_rate_are_refused(
    tmp_path: Path, line: str, message: str
) -> None:
    source = log(tmp_path / "x.csv", "1,2024-01-05,x,100")
    table = items(tmp_path / "i.csv", line)
    rates = {"JPY": {"2024-01-01": 0.006, "2024-06-01": 0.007}}
    with pytest.raises(ValueError, match=message):
        ingest(recipe(tmp_path / "data", source, currency="EUR", rates=rates, items=table))


def paid_back(path: Path, *lines: str) -> dict[str, object]:
    """A source of lines `customer,time,item,amount,kind,currency`."""
    path.write_text("\n".join(["c,t,i,a,k,cur", *lines]) + "\n")
    columns = {"customer_id": "c", "occurred_at": "t", "item_id": "i", "amount": "a", "kind": "k"}
    return {"path": str(path), "columns": {**columns, "currency": "cur"}}


MONTHLY = {"USD": {"2024-01-01": 0.9, "2024-02-01": 0.95}}


@pytest.mark.parametrize(
    ("refund", "matched"),
    [
        ("100,refund,USD", 1),
        ("101,refund,USD", 0),
        ("90,refund,EUR", 1),
        ("91,refund,EUR", 0),
    ],
)
def test_refunds_match_whatever_became_of_the_rate(
    tmp_path: Path, refund: str, matched: int
) -> None:
    lines = ("1,2024-01-05,x,100,purchase,USD", f"1,2024-02-05,x,{refund}")
    source = paid_back(tmp_path / "x.csv", *lines)
    run(recipe(tmp_path / "data", source, currency="EUR", rates=MONTHLY))
    assert pl.read_parquet(tmp_path / "data" / "refunds.parquet").height == matched


def test_refund_of_a_clipped_purchase_shrinks_with_it_though_the_rate_changed(
    tmp_path: Path,
) -> None:
    usual = [f"{number},2024-01-03,y,{number % 9 + 1},purchase,EUR" for number in range(2, 200)]
    lines = ("1,2024-01-05,x,100000,purchase,USD", "1,2024-02-05,x,50000,refund,USD")
    source = paid_back(tmp_path / "x.csv", *usual, *lines)
    clip = {"action": "clip"}
    config = recipe(tmp_path / "data", source, currency="EUR", rates=MONTHLY, outliers=clip)
    events, report = run(config)
    bought, taken_back = amounts(events.filter(pl.col("customer_id") == "1"))
    assert 9.0 < bought < 90_000.0
    assert taken_back == pytest.approx(-bought / 2 * 0.95 / 0.9)
    assert report["account"]["read"]["refunds"] == pytest.approx(-47_500.0)
    outlier = report["account"]["dropped"]["outlier"]
    assert outlier["purchases"] == pytest.approx(90_000.0 - bought)
    assert outlier["refunds"] == pytest.approx(-47_500.0 - taken_back)


def test_money_of_a_row_without_a_date_is_told_by_the_latest_rate(tmp_path: Path) -> None:
    source = log(tmp_path / "x.csv", "1,2024-01-01,EUR,5", "2,,JPY,1000", columns=COLUMNS)
    rates = {"JPY": {"2024-01-01": 0.006, "2024-03-01": 0.0064}}
    _, report = run(recipe(tmp_path / "data", source, currency="EUR", rates=rates))
    assert report["account"]["dropped"]["missing_occurred_at"]["purchases"] == pytest.approx(6.4)
    assert report["account"]["read"]["purchases"] == pytest.approx(11.4)
