"""Ingest of an export and of the log of events that came over HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import read_data_manifest
from lifecycle.log.database import Log
from lifecycle.log.opening import make_log
from lifecycle.log.writer import append, new_batch
from serving.store.events import EventStore
from tests.training.ingest.recipes import log as table
from tests.training.ingest.recipes import recipe, run
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

EXPORT = ("1,2024-01-01,A,5", "1,2024-01-02,A,7", "2,2024-01-03,B,9")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Log]:
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}")
    yield log
    log.engine.dispose()


def write(store: Log, *lines: str, first: int = 0) -> None:
    """Lines `customer,time,item,amount` as purchases."""
    rows = []
    for number, line in enumerate(lines, first):
        customer, at, item, amount = line.split(",")
        rows.append(
            {
                "event_id": f"log-{number}",
                "customer_id": customer,
                "occurred_at": datetime.fromisoformat(at).replace(tzinfo=UTC),
                "kind": "purchase",
                "item_id": item,
                "amount": float(amount),
            }
        )
    append(store, [new_batch(pl.DataFrame(rows, schema=EVENT_SCHEMA), datetime.now(UTC))])


def config(tmp_path: Path, store: Log, name: str = "data", **changes: object) -> IngestConfig:
    source = table(tmp_path / "a.csv", *EXPORT)
    return recipe(tmp_path / name, source, log={"url": store.url, **changes})


def test_events_of_both_count_and_the_position_is_kept(tmp_path: Path, store: Log) -> None:
    write(store, "1,2024-02-01T10:00,C,3", "3,2024-02-02T11:00,A,4")
    events, report = run(config(tmp_path, store))
    assert events.select("customer_id", "amount").rows() == [
        ("1", 5.0),
        ("1", 7.0),
        ("1", 3.0),
        ("2", 9.0),
        ("3", 4.0),
    ]
    assert report["rows_read"] == {str(tmp_path / "a.csv"): 3, store.url: 2}
    position = read_data_manifest(tmp_path / "data").log
    assert position is not None
    assert (position.identity, position.sequence) == (store.identity, 2)


def test_log_alone_is_a_shop(tmp_path: Path, store: Log) -> None:
    write(store, *EXPORT)
    events, _ = run(recipe(tmp_path / "data", log={"url": store.url}))
    assert events["event_id"].to_list() == ["log-0", "log-1", "log-2"]
    with pytest.raises(ValueError, match="sources is empty"):
        recipe(tmp_path / "none")


def test_overlaps_are_left_out_by_the_recipe_and_counted_with_revenue(
    tmp_path: Path, store: Log
) -> None:
    write(store, "1,2024-01-01T10:00,A,5", "1,2024-01-02T10:00,A,7", "2,2024-01-03T12:00,B,9.5")
    until = {"purchase": "2024-01-01"}
    events, report = run(config(tmp_path, store, export_holds_until=until))
    held = events.filter(pl.col("event_id").str.starts_with("log"))
    assert held["amount"].to_list() == [7.0, 9.5]
    assert events["amount"].to_list() == [5.0, 7.0, 9.0, 9.5]
    dropped = report["account"]["dropped"]
    assert {name: money["purchases"] for name, money in dropped.items()} == {
        "overlap_export_holds": 5.0,
        "overlap_log_holds": 7.0,
    }


def test_overlap_that_the_recipe_does_not_decide_is_an_error_with_its_worth(
    tmp_path: Path, store: Log
) -> None:
    write(store, "1,2024-01-01T10:00,A,5", "1,2024-01-02T10:00,A,7")
    rule = "log.export_holds_until.purchase: 2024-01-02"
    with pytest.raises(ValueError, match=f"2 or more events of kind purchase, worth 12.00.*{rule}"):
        ingest(config(tmp_path, store))


def test_same_id_in_both_is_one_event(tmp_path: Path, store: Log) -> None:
    write(store, "1,2024-01-01,A,5")
    columns = {"event_id": {"sql": "'log-0'"}, "customer_id": "c", "occurred_at": "t"}
    source = table(tmp_path / "a.csv", "1,2024-01-01,A,5")
    source["columns"] = columns | {"item_id": "i", "amount": "a"}
    events, report = run(recipe(tmp_path / "data", source, log={"url": store.url}))
    assert events["event_id"].to_list() == ["log-0"]
    assert report["duplicates"]["dropped_same_id"] == 1


def test_later_events_need_another_folder_and_are_told(tmp_path: Path, store: Log) -> None:
    write(store, "3,2024-02-01,A,4")
    made = config(tmp_path, store)
    ingest(made)
    ingest(made)
    write(store, "3,2024-02-03,A,5", first=1)
    with pytest.raises(ValueError, match="events of log was 1 and is 2"):
        ingest(made)


def test_service_counts_what_came_after_the_position_as_ingest_of_all_does(
    tmp_path: Path, store: Log
) -> None:
    until = {"export_holds_until": {"purchase": "2024-01-02"}}
    write(store, "1,2024-01-01T10:00,A,5", "3,2024-02-01T09:00,A,4")
    ingest(config(tmp_path, store, "before", **until))
    write(store, "1,2024-01-02T23:00,A,7", "3,2024-02-01T08:00,B,1", "4,2024-03-01,A,2", first=2)
    ingest(config(tmp_path, store, "after", **until))
    customers = ["1", "2", "3", "4"]
    served = EventStore(tmp_path / "before", store).events_of(customers)
    ingested = EventStore(tmp_path / "after", store).events_of(customers)
    for customer in customers:
        assert served[customer].equals(ingested[customer], null_equal=True), customer
    assert served["1"]["amount"].to_list() == [5.0, 7.0]


def test_data_of_another_or_a_longer_log_are_refused(tmp_path: Path, store: Log) -> None:
    write(store, "3,2024-02-01,A,4")
    ingest(config(tmp_path, store))
    other = make_log(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(ValueError, match="contain another log"):
        EventStore(tmp_path / "data", other)
    manifest = tmp_path / "data" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["log"]["sequence"] = 9
    manifest.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="up to event 9, and it ends at 1"):
        EventStore(tmp_path / "data", store)


def test_log_that_is_not_there_is_named_before_anything_is_read(tmp_path: Path) -> None:
    source = table(tmp_path / "a.csv", *EXPORT)
    gone = {"url": f"sqlite:///{tmp_path / 'gone.db'}"}
    with pytest.raises(ValueError, match="there is no log at"):
        ingest(recipe(tmp_path / "data", source, log=gone))
    with pytest.raises(ValueError, match="'buy' is no kind"):
        recipe(tmp_path / "data", source, log=gone | {"export_holds_until": {"buy": "2024-01-01"}})


def test_password_is_not_saved_with_the_recipe(tmp_path: Path) -> None:
    made = recipe(tmp_path / "data", log={"url": "postgresql://me:secret@h/d"})
    made.save(tmp_path / "recipe.yaml")
    assert "secret" not in (tmp_path / "recipe.yaml").read_text()
    assert made.log is not None and "secret" in made.log.url
