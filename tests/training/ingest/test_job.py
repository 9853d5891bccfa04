import json
import random
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import read_data_manifest, shard_numbers, shard_paths
from lifecycle.features.attributes import read_customers
from lifecycle.folders import verify
from lifecycle.names import BTYD_MODELS
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

CONFIGS = Path("training/configs")
LOG = {"customer_id": "c", "occurred_at": "t", "item_id": "i", "amount": "a"}


def run(config: IngestConfig) -> tuple[pl.DataFrame, dict[str, object]]:
    """Events of an ingest, sorted as in its shards, and its quality.json, whose rows must balance."""
    ingest(config)
    verify(config.output, "data")
    report = json.loads((config.output / "quality.json").read_text())
    assert report["rows_kept"] + sum(report["rows_dropped"].values()) == report["num_rows_read"]
    assert sum(report["rows_read"].values()) == report["num_rows_read"]
    shards = [pl.read_parquet(path) for path in shard_paths(config.output)]
    for shard in shards:
        assert shard.equals(shard.sort("customer_id", "occurred_at", maintain_order=True))
    events = pl.concat(shards)
    assert events.schema == EVENT_SCHEMA
    assert events["event_id"].is_unique().all()
    assert not (events.filter(pl.col("kind") == "refund")["amount"] > 0).any()
    return events.sort("customer_id", "occurred_at", maintain_order=True), report


def recipe(output: Path, *sources: Mapping[str, object], **others: object) -> IngestConfig:
    tree = {"sources": list(sources), "output": str(output), "quality_html": False, "num_shards": 3}
    return IngestConfig.model_validate(tree | others)


def log(path: Path, *lines: str, **changes: object) -> dict[str, object]:
    """A source of lines `customer,time,item,amount`."""
    path.write_text("\n".join(["c,t,i,a", *lines]) + "\n")
    return {"path": str(path), "columns": LOG, **changes}


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
        "filter:no_stock_code": 1, "filter:postage": 2, "filter:manual_or_adjustment": 2, "filter:zero_price": 1,
        "missing_customer_id": 1, "exact_duplicate": 1,
    }  # fmt: skip
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
        ("10002", "INFLATABLE GLOBE £"), ("22423", "CAKESTAND, 3 TIER"), ("85123A", "WHITE HANGING HEART")
    ]  # fmt: skip


def test_month_first_semicolons_decimal_commas_cp1252_and_a_time_zone(tmp_path: Path) -> None:
    text = "InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID\n"
    text += "1;A;Globe £;1.000;07/13/2010 8:26;2,55;17850\n"
    events, _ = run(
        invoices(tmp_path, text, "sources.0.delimiter=;", "sources.0.decimal=','", "sources.0.encoding=cp1252",
                 "sources.0.date_format='%m/%d/%Y %H:%M'", "sources.0.timezone=Europe/London", encoding="cp1252")
    )  # fmt: skip
    assert events.select("amount", "text", "occurred_at").row(0) == (
        2550.0, "Globe £", datetime(2010, 7, 13, 7, 26, tzinfo=UTC)
    )  # fmt: skip


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
        ValueError, match="is complete and was made from another config or other inputs"
    ):
        ingest(invoices(tmp_path, INVOICES.replace(",0.85,", ",x,")))
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
    assert events.select("kind", "amount", "discount", "cost").rows() == [
        ("purchase", 10.0, 2.0, None), ("renewal", 10.0, None, None), ("support", None, None, 15.0),
        ("refund", -10.0, None, None), ("cancellation", None, None, None),
    ]  # fmt: skip
    assert report["refunds"] == {"total": 1, "matched": 1}
    models = report["models"]
    assert isinstance(models, dict) and models["service_cost"]["supported"]


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
        ("007", "support", None, 12.5), ("007", "purchase", 0.75, None), ("007", "renewal", 4.9, None),
        ("007", "refund", -4.9, None),
    ]  # fmt: skip
    assert events["event_id"].to_list()[1:] == ["P1", "P2", "P3"]
    assert events["occurred_at"][1] == datetime(2024, 6, 30, 22, tzinfo=UTC)
    assert report["rows_dropped"] == {
        "filter:internal_transfer": 1,
        "filter:no_margin": 1,
        "duplicate_event_id": 1,
    }


def test_cdnow_recipe_reads_the_packaged_file(tmp_path: Path) -> None:
    events, report = run(
        IngestConfig.load(CONFIGS / "cdnow_ingest.yaml", [f"output={tmp_path / 'data'}"])
    )
    assert (events.height, report["num_customers"]) == (
        69_659,
        23_570,
    )  # as Fader and Hardie describe the file
    assert events["amount"].sum() == pytest.approx(2_500_315.63, abs=0.01)


def test_every_ingest_recipe_loads_and_says_how_it_is_started() -> None:
    recipes = sorted(CONFIGS.glob("*_ingest.yaml"))
    assert len(recipes) == 5
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
    people = {"path": str(tmp_path / "people.csv"), "columns": {"customer_id": "id", "city": "city", "age": "age"},
              "usable_for_prediction": {"city": True, "age": False}}  # fmt: skip
    config = recipe(tmp_path / "data", csv, views, reviews, customers=people)
    events, report = run(config)
    assert events.select("customer_id", "kind", "item_id").rows() == [
        ("1", "purchase", "A"), ("1", "view", None), ("1", "cart", None), ("1", "review", str(2**60)),
        ("2", "purchase", "B"),
    ]  # fmt: skip
    assert report["rows_dropped"] == {"missing_customer_id": 1}
    assert read_data_manifest(config.output).usable_attributes == ("city",)
    assert pl.read_parquet(config.output / "customers.parquet").rows() == [
        ("1", "Paris", 31.0),
        ("2", None, 44.0),
    ]


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


def test_given_and_derived_event_ids_live_together(tmp_path: Path) -> None:
    source = log(
        tmp_path / "a.csv",
        "1,2024-01-01,A,5",
        "1,2024-01-01,A,5",
        "1,2024-01-02,A,5",
        "1,2024-01-02,A,5",
    )
    columns = LOG | {"event_id": {"sql": "CASE WHEN t = '2024-01-02' THEN 'same' END"}}
    events, report = run(recipe(tmp_path / "data", source | {"columns": columns}))
    first, second, third = events["event_id"].to_list()
    assert (second, third) == (f"{first}-1", "same")
    assert report["duplicates"] == {"dropped_exact": 0, "dropped_same_id": 1, "kept_equal": 1}


def two_customers_of_different_shards() -> tuple[str, str]:
    ids = pl.Series([str(number) for number in range(100)])
    shards = shard_numbers(ids, 3)
    return ids[0], ids.filter(shards != shards[0])[0]


@pytest.mark.parametrize("is_same_customer", [True, False])
def test_sources_that_contradict_each_other_under_one_event_id(
    tmp_path: Path, is_same_customer: bool
) -> None:
    one, other = two_customers_of_different_shards()
    columns = LOG | {"event_id": {"sql": "'E1'"}}
    first = log(tmp_path / "a.csv", f"{one},2024-01-01,A,5", columns=columns)
    second = log(
        tmp_path / "b.csv", f"{one if is_same_customer else other},2024-01-01,A,6", columns=columns
    )
    message = (
        "contradict each other: {'amount': (5.0, 6.0)}"
        if is_same_customer
        else "events of two customers"
    )
    with pytest.raises(ValueError) as error:
        ingest(recipe(tmp_path / "data", first, second))
    assert "'E1'" in str(error.value) and message in str(error.value)
    assert not (tmp_path / "data").exists()


def test_all_rules_together_balance(tmp_path: Path) -> None:
    random.seed(3)
    lines = [f"{random.choice(['1', '2', ''])},2024-01-{random.randint(1, 28):02d},A,{random.choice(['', 1, 2, 3])}"
             for _ in range(300)]  # fmt: skip
    source = log(tmp_path / "a.csv", *lines, "1,2024-01-01,A,1000000", "1,,A,1", drop_exact_duplicates=True,
                 filter={"no_twos": {"sql": "a <> 2 OR a IS NULL"}})  # fmt: skip
    events, report = run(recipe(tmp_path / "data", source, outliers={"action": "drop"}))
    dropped = report["rows_dropped"]
    assert isinstance(dropped, dict)
    assert set(dropped) == {
        "filter:no_twos", "missing_customer_id", "missing_occurred_at", "missing_amount", "exact_duplicate", "outlier"
    }  # fmt: skip
    assert events["amount"].max() == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filter": {"sql": "a > 100"}}, "no usable event in .*'filter': 2"),
        ({"filter": {"none": False}}, "no usable event in .*'filter:none': 2"),
        (
            {"columns": LOG | {"customer_id": {"sql": "NULLIF(c, c)"}}},
            "no usable event in .*'missing_customer_id': 2",
        ),
        (
            {"columns": LOG | {"amount": {"sql": "a - 10"}}},
            "row 1 after the header: amount is -5.0 for a purchase",
        ),
        ({"kind": {"sql": "i"}}, "row 1 after the header: kind is 'A'"),
        ({"columns": LOG | {"amount": "price"}}, "columns.amount: unknown column 'price'"),
    ],
)
def test_source_that_gives_nothing_usable(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    source = log(tmp_path / "a.csv", "1,2024-01-01,A,5", "2,2024-01-02,B,6", **changes)
    with pytest.raises(ValueError, match=message):
        ingest(recipe(tmp_path / "data", source))
    assert not (tmp_path / "data").exists()


def test_unknown_column_of_a_later_source_is_found_before_the_first_is_parsed(
    tmp_path: Path,
) -> None:
    bad_row = log(tmp_path / "a.csv", "1,never,A,5")
    unknown = log(tmp_path / "b.csv", "1,2024-01-01,A,5", kind={"sql": "colour"})
    with pytest.raises(ValueError, match="unknown column 'colour'"):
        ingest(recipe(tmp_path / "data", bad_row, unknown))


def test_unknown_column_of_a_later_file_is_found_before_the_first_is_parsed(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    source = log(folder / "1.csv", "1,not a date,A,1")
    (folder / "2.csv").write_text("c,t,i\n1,2024-01-01,A\n")
    with pytest.raises(ValueError, match="columns.amount: unknown column 'a'; .*2.csv has"):
        ingest(recipe(tmp_path / "data", source | {"path": str(folder)}))


def test_lines_that_two_files_repeat_in_another_order_of_columns_are_duplicates(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    source = log(folder / "1.csv", "1,2024-01-01,A,1", "2,2024-01-01,A,1")
    (folder / "2.csv").write_text("a,i,t,c\n1,A,2024-01-01,1\n1,B,2024-01-01,1\n")
    events, report = run(
        recipe(tmp_path / "data", source | {"path": str(folder), "drop_exact_duplicates": True})
    )
    assert events.select("customer_id", "item_id").rows() == [("1", "A"), ("1", "B"), ("2", "A")]
    assert report["duplicates"]["dropped_exact"] == 1  # type: ignore[index]


def test_items_that_the_item_table_lacks_are_counted(tmp_path: Path) -> None:
    lines = log(
        tmp_path / "lines.csv",
        "1,2024-01-01,A,1",
        "1,2024-01-02,B,1",
        "2,2024-01-02,B,1",
        "2,2024-01-03,,1",
    )
    (tmp_path / "items.csv").write_text("id,name\nA,lamp\n")
    items = {"path": str(tmp_path / "items.csv"), "columns": {"item_id": "id", "title": "name"}}
    _, report = run(recipe(tmp_path / "data", lines, items=items))
    assert report["unknown_to_catalogue"] == {"items": 1, "lines": 2}


def test_source_without_amounts_says_that_values_cannot_be_learned(tmp_path: Path) -> None:
    source = log(
        tmp_path / "lines.csv", *(f"{n % 70},2024-0{1 + n % 6}-1{n % 9},A,1" for n in range(600))
    )
    source["columns"] = {name: column for name, column in LOG.items() if name != "amount"}
    events, report = run(recipe(tmp_path / "data", source))
    assert events.height == 600
    models = report["models"]
    assert isinstance(models, dict)
    for name in ("persistence", *BTYD_MODELS, "lightgbm", "text_llama"):
        assert models[name] == {
            "supported": False,
            "reason": "needs purchases with an amount: 0 lines",
        }
    with pytest.raises(ValueError, match="no purchases or renewals with an amount"):
        prepare(PrepareConfig(data=tmp_path / "data", output=tmp_path / "examples"))
    prepare(PrepareConfig(data=tmp_path / "data", output=tmp_path / "loo", split="leave_one_out"))


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


def test_same_recipe_twice_gives_the_same_bytes_and_a_complete_folder_is_left_alone(
    tmp_path: Path,
) -> None:
    lines = [
        f"{number % 7},2024-01-{1 + number % 28:02d},{number % 5},{number}" for number in range(200)
    ]
    source = log(tmp_path / "a.csv", *lines)
    first, second = (recipe(tmp_path / name, source) for name in ("one", "two"))
    run(first)
    run(second)
    for one, two in zip(shard_paths(first.output), shard_paths(second.output), strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert (first.output / "quality.json").read_bytes() == (
        second.output / "quality.json"
    ).read_bytes()
    assert (first.output / "items.parquet").read_bytes() == (
        second.output / "items.parquet"
    ).read_bytes()
    changed_at = (first.output / "manifest.json").stat().st_mtime_ns
    ingest(first)
    assert (first.output / "manifest.json").stat().st_mtime_ns == changed_at


def test_batches_do_not_show_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        f"{number % 7}.0,2024-01-{1 + number % 28:02d},{number % 5},{number}"
        for number in range(500)
    ]
    source = log(tmp_path / "a.csv", *lines, "nobody,2024-01-01,A,bad")
    with pytest.raises(ValueError, match="row 501 after the header: amount is 'bad'"):
        ingest(recipe(tmp_path / "bad", source))
    monkeypatch.setattr("training.ingest.batches.BATCH_ROWS", 17)
    with pytest.raises(ValueError, match="row 501 after the header: amount is 'bad'"):
        ingest(recipe(tmp_path / "bad", source))
    small = run(recipe(tmp_path / "small", log(tmp_path / "a.csv", *lines)))
    monkeypatch.setattr("training.ingest.batches.BATCH_ROWS", 500_000)
    large = run(recipe(tmp_path / "large", log(tmp_path / "a.csv", *lines)))
    assert small[0].equals(large[0])
    assert small[1] == large[1]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shuffle=st.randoms(use_true_random=False), num_files=st.integers(1, 3), drop=st.booleans())
def test_order_of_rows_and_files_does_not_matter_at_distinct_times(
    tmp_path_factory: pytest.TempPathFactory, shuffle: random.Random, num_files: int, drop: bool
) -> None:
    folder = tmp_path_factory.mktemp("shuffled")
    start = datetime(2024, 1, 1)
    lines = [
        f"{number % 4},{start + timedelta(minutes=number)},{number % 3},{number % 2}"
        for number in range(40)
    ]
    expected, _ = run(recipe(folder / "in_order", log(folder / "all.csv", *lines)))
    shuffle.shuffle(lines)
    parts = folder / "parts"
    parts.mkdir()
    for number in range(num_files):
        log(parts / f"{number}.csv", *lines[number::num_files])
    source = {"path": str(parts), "columns": LOG, "drop_exact_duplicates": drop}
    events, _ = run(recipe(folder / "shuffled", source))
    assert events.equals(expected)


def test_command_ends_with_one_line_for_a_users_mistake(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    config = recipe(tmp_path / "data", log(tmp_path / "a.csv", "1,yesterday,A,5"))
    config.save(path)
    done = subprocess.run(
        [sys.executable, "-m", "training.ingest", "--config", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "row 1 after the header: occurred_at is 'yesterday'" in done.stderr
    assert "Traceback" not in done.stderr
