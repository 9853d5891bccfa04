"""Lookups: filtered and computed by their own recipe, matched as ids are, and counted."""

from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import BASE, batches_of, log, recipe, run
from training.ingest.job import ingest
from training.ingest.sources import Source
from training.report.quality import write_quality_html
from training.results.quality import QualityReport


def source(folder: Path, lookup: str, keys: str, **changes: object) -> dict[str, object]:
    """Rows whose keys are `keys`, and a lookup of the columns k and d."""
    lines = "".join(f"{row},{key},5\n" for row, key in enumerate(keys.split(), 1))
    (folder / "lines.csv").write_text("c,k,p\n" + lines)
    (folder / "lookup.csv").write_text(lookup)
    return {
        "path": str(folder / "lines.csv"),
        "columns": BASE | {"occurred_at": "day"},
        "lookup": {"path": str(folder / "lookup.csv"), "columns": {"day": "d"}, **changes},
        "lookup_on": "k",
    }


def days(tree: dict[str, object]) -> list[str | None]:
    [batch] = batches_of(Source.model_validate(tree))
    return batch.rows["occurred_at"].dt.strftime("%d").to_list()


def test_filter_and_computed_columns_of_a_lookup_hold(tmp_path: Path) -> None:
    table = "k,d,new\nA,2024-01-01,0\nA,2024-01-02,1\nB,2024-01-03,1\n"
    tree = source(tmp_path, table, "A B", filter={"sql": "new = 1"})
    assert days(tree) == ["02", "03"]
    tree = source(tmp_path, "k,d\nA,2024-01\n", "A", columns={"day": {"sql": "d || '-07'"}})
    assert days(tree) == ["07"]
    with pytest.raises(ValueError, match="'k' is not unique: 'A'"):
        days(source(tmp_path, table, "A B"))


def test_keys_match_as_ids_do(tmp_path: Path) -> None:
    tree = source(tmp_path, "k,d\n17.0,2024-01-01\n 08,2024-01-02\n,2024-01-03\n", "17 08 8")
    assert days(tree) == ["01", "02", None]
    [batch] = batches_of(Source.model_validate(tree))
    assert (batch.num_keys, batch.num_found) == (3, 2)
    pl.DataFrame({"k": [17, 8], "d": ["2024-01-04", "2024-01-05"]}).write_parquet(tmp_path / "l.pq")
    lookup = {"path": str(tmp_path / "l.pq"), "format": "parquet", "columns": {"day": "d"}}
    assert days(tree | {"lookup": lookup}) == ["04", None, "05"]


def test_shares_of_what_is_found_are_told_and_too_small_ones_refused(tmp_path: Path) -> None:
    tree = source(tmp_path, "k,d\nA,2024-01-01\nB,2024-01-02\n", "A B x")
    _, report = run(recipe(tmp_path / "data", tree))
    name = f"lookup {tmp_path / 'lookup.csv'}"
    assert report["matches"] == {name: {"rows": 3, "matched": 2}}
    with pytest.raises(ValueError, match="lookup .*: only 2 of 3 .66.7%. are found there"):
        run(recipe(tmp_path / "other", tree, min_matched_share=0.7))


def test_customer_table_that_matches_nobody_is_refused(tmp_path: Path) -> None:
    tree = source(tmp_path, "k,d\nA,2024-01-01\n", "A A A")
    (tmp_path / "people.csv").write_text("c,city\n1,x\n2,y\nelse,z\n4,z\n5,z\n6,z\n")
    people = {"path": str(tmp_path / "people.csv"), "columns": {"customer_id": "c", "city": "city"}}
    _, report = run(recipe(tmp_path / "data", tree, customers=people))
    assert report["matches"]["customers"] == {"rows": 3, "matched": 2}  # type: ignore[index]
    (tmp_path / "people.csv").write_text("c,city\n001,x\n002,y\n")
    with pytest.raises(ValueError, match="customers: only 0 of 2 .*zeros in front, capital"):
        run(recipe(tmp_path / "other", tree, customers=people))


def test_decimal_sign_of_a_lookup_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("c,t,p,s\n1,2024-01-01,5,A\n")
    (tmp_path / "costs.csv").write_text("s;k\nA;1,500\nB;2,5\n")
    lookup = {"path": str(tmp_path / "costs.csv"), "delimiter": ";", "decimal": ","}
    tree = {
        "path": str(tmp_path / "lines.csv"),
        "columns": BASE | {"cost": "costs"},
        "lookup": lookup | {"columns": {"costs": "k"}},
        "lookup_on": "s",
    }
    [batch] = batches_of(Source.model_validate(tree))
    assert batch.rows["cost"].to_list() == [1.5]
    tree["lookup"] = lookup | {"columns": {"costs": {"sql": "SUM(k)"}}}
    with pytest.raises(ValueError, match="columns.costs: .* depends on other rows"):
        batches_of(Source.model_validate(tree))


def test_rows_that_name_nothing_or_are_filtered_out_do_not_count(tmp_path: Path) -> None:
    tree = source(tmp_path, "k,d\nA,2024-01-01\n", "A A A")
    path = tmp_path / "lines.csv"
    path.write_text("c,k,p\n1,A,5\n2,,5\n3,,5\n4,x,0\n5,y,0\n")
    [batch] = batches_of(Source.model_validate(tree | {"filter": {"sql": "p > 0"}}))
    assert (batch.num_keys, batch.num_found) == (1, 1)


def test_rows_of_every_other_table_are_kept_or_left_out_for_a_reason(tmp_path: Path) -> None:
    lookup = "k,d,new\nA,2024-01-01,1\nB,2024-01-02,1\nA,2023-01-01,0\n,2024-01-03,1\n"
    tree = source(tmp_path, lookup, "A B A", filter={"old": {"sql": "new = 1"}})
    tree["columns"] = BASE | {"occurred_at": "day", "item_id": "k", "currency": {"sql": "'USD'"}}
    (tmp_path / "people.csv").write_text("c,test\n1,0\n1,0\n2,0\n,0\n9,1\n")
    (tmp_path / "items.csv").write_text("i,t\nA,lamp\nA,Lamp\nB,box\n,none\n")
    (tmp_path / "rates.csv").write_text("code,rate\nUSD,0.5\nGBP,0\n")
    columns = {"currency": "code", "rate": "rate"}
    others = {
        "customers": {"columns": {"customer_id": "c"}, "filter": {"tests": {"sql": "test = 0"}}},
        "items": {"columns": {"item_id": "i", "title": "t"}},
        "rates_table": {"columns": columns, "filter": {"sql": "rate > 0"}},
    }
    files = {"customers": "people.csv", "items": "items.csv", "rates_table": "rates.csv"}
    tables = {name: table | {"path": str(tmp_path / files[name])} for name, table in others.items()}
    _, report = run(recipe(tmp_path / "data", tree, currency="EUR", **tables))
    assert report["tables"] == {
        f"lookup {tmp_path / 'lookup.csv'}": {
            "read": 4,
            "kept": 2,
            "dropped": {"filter:old": 1, "missing_k": 1},
        },
        "customers": {
            "read": 5,
            "kept": 2,
            "dropped": {"filter:tests": 1, "missing_customer_id": 1, "repeated": 1},
        },
        "items": {"read": 4, "kept": 2, "dropped": {"missing_item_id": 1, "repeated": 1}},
        "rates": {"read": 2, "kept": 1, "dropped": {"filter": 1}},
    }
    page = tmp_path / "quality.html"
    write_quality_html(page, QualityReport.model_validate(report))
    assert "1 missing customer id" in page.read_text()


def test_prices_of_a_lookup_in_several_currencies_are_refused(tmp_path: Path) -> None:
    shop = log(tmp_path / "x.csv", "1,2024-01-05,x,2", "1,2024-01-06,y,3")
    (tmp_path / "i.csv").write_text("i,p,currency\nx,1000,JPY\ny,5,EUR\n")
    lookup = {"path": str(tmp_path / "i.csv"), "columns": {"each": "p"}}
    columns = {"customer_id": "c", "occurred_at": "t", "amount": {"sql": "a * each"}}
    shop |= {"lookup": lookup, "lookup_on": "i", "columns": columns}
    with pytest.raises(ValueError, match="several currencies.*EUR .*i.csv.*JPY .*i.csv"):
        ingest(recipe(tmp_path / "data", shop))
    columns["amount"] = "a"
    events, _ = run(recipe(tmp_path / "data", shop))
    assert events["amount"].to_list() == [2.0, 3.0]


def test_a_lookup_may_hold_the_rates_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("c,t,currency,a\n1,2024-01-01,EUR,5\n1,2024-01-02,JPY,800\n")
    (tmp_path / "rates.csv").write_text("currency,worth\nEUR,1\nJPY,0.01\n")
    lookup = {"path": str(tmp_path / "rates.csv"), "columns": {"worth": "worth"}}
    columns = {"customer_id": "c", "occurred_at": "t", "amount": {"sql": "a * worth"}}
    shop = {"path": str(tmp_path / "x.csv"), "columns": columns}
    shop |= {"lookup": lookup, "lookup_on": "currency"}
    events, _ = run(recipe(tmp_path / "data", shop, currency="EUR"))
    assert events["amount"].to_list() == [5.0, 8.0]
