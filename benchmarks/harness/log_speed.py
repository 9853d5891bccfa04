"""Groups of events by the log's own writer and by plain sqlite3, in turn."""

import sqlite3
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.log.opening import make_log
from lifecycle.log.schema import EVENTS
from lifecycle.log.writer import Batch, append, new_batch

GROUP_EVENTS = 1000
NUM_GROUPS = 10
NUM_ROUNDS = 5


def event_of(event_id: str) -> dict[str, JsonValue]:
    """A purchase; its order is named like it, so that a copy under another id would be seen."""
    return {
        "event_id": event_id,
        "customer_id": f"customer-{int(event_id.rpartition('-')[2]) % 100}",
        "occurred_at": "2026-01-01T00:00:00Z",
        "kind": "purchase",
        "order_id": event_id,
        "amount": 1.0,
    }


def speeds(folder: Path) -> tuple[float, float]:
    """Events per second by the log and by plain sqlite3, both in groups; medians of rounds in turn."""
    ours = []
    plain = []
    for number in range(NUM_ROUNDS):
        ours.append(speed_of_log(folder / f"ours-{number}.db"))
        plain.append(speed_of_sqlite(folder / f"plain-{number}.db"))
    return statistics.median(ours), statistics.median(plain)


def speed_of_log(path: Path) -> float:
    """What the writer does for a group: ids looked up, contents compared, rows inserted, on disk."""
    log = make_log(f"sqlite:///{path}")
    groups = [group_of(number) for number in range(NUM_GROUPS)]
    began = time.perf_counter()
    for group in groups:
        append(log, [group])
    seconds = time.perf_counter() - began
    log.engine.dispose()
    return NUM_GROUPS * GROUP_EVENTS / seconds


def speed_of_sqlite(path: Path) -> float:
    """The same rows by one executemany a group, into a table with the same columns, key and indexes."""
    with make_log(f"sqlite:///{path}").reading():
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    marks = ", ".join("?" * len(EVENTS.columns))
    groups = [group_of(number) for number in range(NUM_GROUPS)]
    rows = [
        [
            (number * GROUP_EVENTS + place, group.came_at, group.hashes[place], *row)
            for place, row in enumerate(group.rows)
        ]
        for number, group in enumerate(groups)
    ]
    began = time.perf_counter()
    for group_rows in rows:
        with connection:
            connection.executemany(f"INSERT INTO {EVENTS.name} VALUES ({marks})", group_rows)
    seconds = time.perf_counter() - began
    connection.close()
    return NUM_GROUPS * GROUP_EVENTS / seconds


def group_of(number: int) -> Batch:
    """A group of events of many customers."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [f"{number}-{place}" for place in range(GROUP_EVENTS)]
    rows = [event_of(event_id) | {"occurred_at": at, "item_id": "i"} for event_id in ids]
    return new_batch(pl.DataFrame(rows, schema=EVENT_SCHEMA), at)
