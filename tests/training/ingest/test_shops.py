"""Exports as shops make them, from the recipe to events, items, customers and the report."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from lifecycle.events.shards import read_data_manifest
from lifecycle.paths import resolve_path
from tests.training.ingest.recipes import log, recipe, run
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

CONFIGS = Path("training/configs")
INVOICES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID
536365,85123A,WHITE HANGING HEART,6,1/12/2010 8:26,2.55,17850.0
536365,85123A,WHITE HANGING HEART,6,1/12/2010 8:26,2.55,17850.0
536365,22423,"CAKESTAND, 3 TIER",2,1/12/2010 8:26,"1,012.75",17850.0
536365,POST,POSTAGE,1,1/12/2010 8:26,18.00,17850.0
536366,22423,"CAKESTAND, 3 TIER",1,13/12/2010 9:00,12.75,
C536379,85123A,WHITE HANGING HEART,-2,2/12/2010 9:41,2.55,17850
536380,22423,"CAKESTAND, 3 TIER",-1,2/12/2010 9:45,12.75,17850
536381,M,Manual,1,2/12/2010 9:50,99.00,17851
536382,10002,INFLATABLE GLOBE,1,2/12/2010 9:55,0.00,17851
536383,10002,INFLATABLE GLOBE £,3,2/12/2010 10:00,0.85,17851
536384,B,Adjust bad debt,1,2/12/2010 10:01,-11062.06,17851
536385, post ,POSTAGE,1,2/12/2010 10:02,18.00,17851
536386, ,no code,1,2/12/2010 10:03,18.00,17851
"""


def invoices(tmp_path: Path, text: str, *overrides: str, encoding: str = "utf-8") -> IngestConfig:
    path = tmp_path / "lines.csv"
    path.write_bytes(text.encode(encoding))
    paths = [f"sources.0.path={path}", f"output={tmp_path / 'data'}"]
    return IngestConfig.load(CONFIGS / "invoices_ingest.yaml", [*paths, *overrides])


def test_invoice_lines_as_shops_export_them(tmp_path: Path) -> None:
    events, report = run(invoices(tmp_path, INVOICES))
    assert report["rows_dropped"] == {
        "filter:no_stock_code": 1,
        "filter:postage": 2,
        "filter:manual_or_adjustment": 2,
        "filter:zero_price": 1,
        "missing_customer_id": 1,
        "exact_duplicate": 1,
    }
    bought = [15.3, 15.3, 2025.5, 18.0, 12.75, 99.0, 0.0, 2.55, -11062.06, 18.0, 18.0]
    assert report["account"]["read"] == {
        "rows": 13,
        "purchases": pytest.approx(sum(bought)),
        "refunds": pytest.approx(-5.1 - 12.75),
        "without_amount": 0,
    }
    assert report["account"]["dropped"]["filter:postage"]["purchases"] == pytest.approx(36.0)
    assert report["orders_half_dropped"] == {"filter:postage": 1}
    assert events.select("customer_id", "kind", "order_id", "item_id", "amount").rows() == [
        ("17850", "purchase", "536365", "85123A", pytest.approx(15.3)),
        ("17850", "purchase", "536365", "22423", pytest.approx(2025.5)),
        ("17850", "refund", "C536379", "85123A", pytest.approx(-5.1)),
        ("17850", "refund", "536380", "22423", pytest.approx(-12.75)),
        ("17851", "purchase", "536383", "10002", pytest.approx(2.55)),
    ]
    assert events["occurred_at"][0] == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert report["refunds"] == {"total": 2, "matched": 2}
    assert (tmp_path / "data" / "quality.html").stat().st_size > 10_000
    items = pl.read_parquet(tmp_path / "data" / "items.parquet")
    assert items.select("item_id", "title").rows() == [
        ("10002", "INFLATABLE GLOBE £"),
        ("22423", "CAKESTAND, 3 TIER"),
        ("85123A", "WHITE HANGING HEART"),
    ]


def test_month_first_semicolons_decimal_commas_cp1252_and_a_time_zone(tmp_path: Path) -> None:
    text = "InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID\n"
    text += "1;A;Globe £;1.000;07/13/2010 8:26;2,55;17850\n"
    events, _ = run(
        invoices(
            tmp_path,
            text,
            "sources.0.delimiter=;",
            "sources.0.decimal=','",
            "sources.0.encoding=cp1252",
            "sources.0.date_format='%m/%d/%Y %H:%M'",
            "sources.0.timezone=Europe/London",
            encoding="cp1252",
        )
    )
    assert events.select("amount", "text", "occurred_at").row(0) == (
        2550.0,
        "Globe £",
        datetime(2010, 7, 13, 7, 26, tzinfo=UTC),
    )


def test_bad_amount_in_an_expression_names_row_and_value_and_leaves_no_folder(
    tmp_path: Path,
) -> None:
    bad = INVOICES.replace(",0.85,", ",eighty-five,")
    with pytest.raises(
        ValueError, match="lines.csv, row 10 after the header: UnitPrice is 'eighty-five'"
    ):
        ingest(invoices(tmp_path, bad))
    assert not (tmp_path / "data").exists()


def test_failing_recipe_leaves_an_existing_folder_untouched(tmp_path: Path) -> None:
    run(invoices(tmp_path, INVOICES))
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    with pytest.raises(
        ValueError, match=r"or other inputs: files of sources.0 was .1 of \d+ bytes, last changed"
    ):
        ingest(invoices(tmp_path, INVOICES.replace(",0.85,", ",x,")))
    with pytest.raises(ValueError, match='other inputs: currency was ".*" and is "SEK"'):
        ingest(invoices(tmp_path, INVOICES).model_copy(update={"currency": "SEK"}))
    assert {
        path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()
    } == before


def test_subscription_log_with_contacts_and_plans(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "account,at,type,plan,price,discount\n7,2024-01-31T10:00:00+01:00,trial,basic,0,\n7,2024-02-01,start,basic,10,-2\n"
        "7,2024-03-01,renewal,basic,10,\n7,2024-03-05,refund,basic,10,\n7,2024-03-06,cancel,basic,,\n"
    )
    (tmp_path / "contacts.csv").write_text(
        "account,opened_at,minutes,subject\n7,2024-03-04 12:00,20,too slow\n"
    )
    (tmp_path / "plans.csv").write_text(
        "plan,name,family,monthly_price\nbasic,Basic plan,plans,10\n"
    )
    names = ("sources.0", "log"), ("sources.1", "contacts"), ("items", "plans")
    paths = [f"{key}.path={tmp_path / name}.csv" for key, name in names]
    config = CONFIGS / "subscriptions_ingest.yaml"
    events, report = run(
        IngestConfig.load(config, [*paths, f"output={tmp_path / 'data'}", "quality_html=false"])
    )
    assert events.select("kind", "amount", "discount", "cost", "plan_days").rows() == [
        ("trial", None, None, None, None),
        ("purchase", 10.0, 2.0, None, 30.0),
        ("renewal", 10.0, None, None, 30.0),
        ("support", None, None, 15.0, None),
        ("refund", -10.0, None, None, None),
        ("cancellation", None, None, None, None),
    ]
    assert report["refunds"] == {"total": 1, "matched": 1}
    assert report["models"]["service_cost"]["supported"]
    read = {"rows": 6, "purchases": 20.0, "refunds": -10.0, "without_amount": 3}
    assert report["account"]["read"] == read


def test_bank_ledger_with_ids_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ledger.csv").write_text(
        "posting_id;account_id;booked_on;product;type;amount;margin\nP1;007;01.07.2024;card;posting;-50,00;0,75\n"
        "P2;007;02.07.2024;account;monthly_fee;4,90;\nP3;007;03.07.2024;account;fee_refund;4,90;\n"
        "P4;007;04.07.2024;card;internal;1.000,00;\nP5;007;04.07.2024;card;posting;10,00;0,00\n"
        "P2;007;02.07.2024;account;monthly_fee;4,90;\n"
    )
    (tmp_path / "contacts.csv").write_text(
        "account_id;at;channel;cost\n007;05.01.2024 09:00;branch;12,50\n"
    )
    paths = [
        f"sources.{number}.path={tmp_path / name}"
        for number, name in enumerate(("ledger.csv", "contacts.csv"))
    ]
    config = CONFIGS / "bank_ingest.yaml"
    events, report = run(
        IngestConfig.load(config, [*paths, f"output={tmp_path / 'data'}", "quality_html=false"])
    )
    assert events.select("customer_id", "kind", "amount", "cost").rows() == [
        ("007", "support", None, 12.5),
        ("007", "purchase", 0.75, None),
        ("007", "renewal", 4.9, None),
        ("007", "refund", -4.9, None),
    ]
    assert events["event_id"].to_list()[1:] == ["P1", "P2", "P3"]
    assert events["occurred_at"][1] == datetime(2024, 7, 1, tzinfo=UTC)
    assert report["rows_dropped"] == {
        "filter:internal_transfer": 1,
        "filter:no_margin": 1,
        "duplicate_event_id": 1,
    }
    assert report["account"]["read"] == {
        "rows": 7,
        "purchases": pytest.approx(0.75 + 4.9 + 1000 + 0 + 4.9),
        "refunds": -4.9,
        "without_amount": 1,
    }


def test_bank_counts_losses_as_service_and_closings_as_cancellations(tmp_path: Path) -> None:
    (tmp_path / "ledger.csv").write_text(
        "posting_id;account_id;booked_on;product;type;amount;margin\nP1;007;01.07.2024;loan;interest;12,00;\n"
        "P2;007;02.07.2024;cash;posting;-50,00;-0,60\nP3;007;03.07.2024;account;closing;1.000,00;\n"
    )
    tree = yaml.safe_load((CONFIGS / "bank_ingest.yaml").read_text())
    del tree["sources"][1]  # this bank has no contacts
    tree["sources"][0]["path"] = str(tmp_path / "ledger.csv")
    places = {"output": str(tmp_path / "data"), "quality_html": False}
    events, report = run(IngestConfig.model_validate(tree | places))
    assert events.select("kind", "amount", "cost").rows() == [
        ("purchase", 12.0, None),
        ("support", None, 0.6),
        ("cancellation", None, None),
    ]
    assert report["models"]["service_cost"]["supported"]


def test_cdnow_recipe_reads_the_packaged_file(tmp_path: Path) -> None:
    events, report = run(
        IngestConfig.load(CONFIGS / "cdnow_ingest.yaml", [f"output={tmp_path / 'data'}"])
    )
    assert (events.height, report["num_customers"]) == (
        69_659,
        23_570,
    )  # as Fader and Hardie describe the file
    assert events["amount"].sum() == pytest.approx(2_500_315.63, abs=0.01)
    assert report["account"]["read"] == report["account"]["kept"]


@pytest.mark.integration
def test_journey_recipe_keeps_every_row_and_cent_of_the_packaged_files(tmp_path: Path) -> None:
    config = IngestConfig.load(CONFIGS / "journey_ingest.yaml", [f"output={tmp_path / 'data'}"])
    _, report = run(config)
    baskets, campaigns, coupons = (
        pl.read_parquet(resolve_path(each.path)) for each in config.sources
    )
    assert report["account"]["read"] == {
        "rows": baskets.height + campaigns.height + coupons.height,
        "purchases": pytest.approx(baskets["sales_value"].sum(), rel=1e-12),
        "refunds": 0.0,
        "without_amount": campaigns.height + coupons.height,
    }
    assert report["account"]["read"] == report["account"]["kept"]


def test_every_ingest_recipe_loads_and_says_how_it_is_started() -> None:
    recipes = sorted(CONFIGS.glob("*_ingest.yaml"))
    assert len(recipes) == 7
    for path in recipes:
        IngestConfig.load(path)
        assert path.read_text().startswith(f"# python -m training.ingest --config {path}")


def test_json_parquet_and_csv_sources_with_kinds_from_a_column_and_a_customer_table(
    tmp_path: Path,
) -> None:
    csv = log(tmp_path / "a.csv", "1,2024-01-01,A,5", "2,2024-01-02,B,6")
    (tmp_path / "b.ndjson").write_text(
        '{"user": 1, "at": 1704240000, "what": "view"}\n{"user": 1, "at": 1704240001, "what": "cart"}\n'
    )
    columns = {"customer_id": "user", "occurred_at": "at", "kind": "what"}
    views = {
        "path": str(tmp_path / "b.ndjson"),
        "format": "json",
        "date_format": "epoch_s",
        "columns": columns,
    }
    times = [datetime(2024, 1, 4), datetime(2024, 1, 4)]
    pl.DataFrame({"u": [1.0, None], "t": times, "p": [2**60, 1]}).write_parquet(
        tmp_path / "c.parquet"
    )
    columns = {"customer_id": "u", "occurred_at": "t", "item_id": "p"}
    reviews = {
        "path": str(tmp_path / "c.parquet"),
        "format": "parquet",
        "kind": "review",
        "columns": columns,
    }
    (tmp_path / "people.csv").write_text("id,city,age\n1,Paris,31\n2,,44\n")
    people = {
        "path": str(tmp_path / "people.csv"),
        "columns": {"customer_id": "id", "city": "city", "age": "age"},
        "usable_for_prediction": {"city": True, "age": False},
    }
    config = recipe(tmp_path / "data", csv, views, reviews, customers=people)
    events, report = run(config)
    assert events.select("customer_id", "kind", "item_id").rows() == [
        ("1", "purchase", "A"),
        ("1", "view", None),
        ("1", "cart", None),
        ("1", "review", str(2**60)),
        ("2", "purchase", "B"),
    ]
    assert report["rows_dropped"] == {"missing_customer_id": 1}
    assert read_data_manifest(config.output).usable_attributes == ("city",)
    assert pl.read_parquet(config.output / "customers.parquet").rows() == [
        ("1", "Paris", 31.0),
        ("2", None, 44.0),
    ]
