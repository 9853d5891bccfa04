"""How events get into the log: all of a request or nothing of it, each event_id once, durable when this returns."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress
from typing import Self

import polars as pl
from sqlalchemy import Connection, select, update

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.log.database import Log
from lifecycle.log.instants import microseconds
from lifecycle.log.problems import LogUnavailable
from lifecycle.log.schema import CONTENT, EVENTS, FORMAT_VERSION, LOG

IDS_AT_A_TIME = 5000  # of one query; SQLite takes 32,766
Row = tuple[object, ...]  # the columns CONTENT


@dataclass(frozen=True)
class Batch:
    """The events of one request, in the columns CONTENT, with the hash of each and when they came."""

    rows: tuple[Row, ...]
    hashes: tuple[bytes, ...]
    came_at: int  # microseconds since 1970

    @property
    def event_ids(self) -> tuple[str, ...]:
        """The id of each event."""
        return tuple(str(row[0]) for row in self.rows)

    @property
    def customer_ids(self) -> tuple[str, ...]:
        """Whose each event is."""
        return tuple(str(row[1]) for row in self.rows)

    def without(self, customer_ids: set[str]) -> Self:
        """The events of all others."""
        if not customer_ids:
            return self
        is_kept = [customer not in customer_ids for customer in self.customer_ids]
        rows = tuple(compress(self.rows, is_kept))
        return replace(self, rows=rows, hashes=tuple(compress(self.hashes, is_kept)))


@dataclass(frozen=True)
class Receipt:
    """What became of a request: events new to the log, those that it had already, and those of erased customers."""

    accepted: int
    duplicates: int
    refused: int = 0


@dataclass(frozen=True)
class Conflict:
    """Nothing of a request was written, since these ids are in the log, or twice in it, with other content."""

    event_ids: tuple[str, ...]


def new_batch(events: pl.DataFrame, came_at: datetime) -> Batch:
    """A batch of events in the columns of EVENT_SCHEMA; -0.0 counts as 0.0."""
    columns = []
    for name in CONTENT:
        column = pl.col(name)
        dtype = EVENT_SCHEMA[name]
        if isinstance(dtype, pl.Datetime):
            column = column.dt.epoch("us")
        columns.append(column + 0.0 if dtype == pl.Float64 else column)
    rows = tuple(events.select(columns).iter_rows())
    hashes = tuple(hashlib.sha256(json.dumps(row).encode()).digest() for row in rows)
    return Batch(rows, hashes, microseconds(came_at))


def append(log: Log, batches: Sequence[Batch]) -> list[Receipt | Conflict]:
    """Write batches in one transaction; each gets a receipt, or a conflict and leaves no trace.

    Events of erased customers are left out and counted.

    When this returns, what was accepted is on disk. LogUnavailable and LogFull, and nothing was
    accepted. Sequence numbers have no gaps, and whoever sees one sees all before it: writers wait
    for each other at the row of LOG.
    """
    with log.writing() as connection:
        sequence, last_erasure = turn_to_write(connection)
        customers = {customer for batch in batches for customer in batch.customer_ids}
        erased = log.erasures.among(connection, last_erasure, customers)
        known = _hashes_of(connection, [batch.event_ids for batch in batches])
        outcomes: list[Receipt | Conflict] = []
        rows: list[Row] = []
        for whole in batches:
            batch = whole.without(erased)
            outcome, places = _outcome(batch, known)
            if isinstance(outcome, Receipt):
                outcome = replace(outcome, refused=len(whole.rows) - len(batch.rows))
            outcomes.append(outcome)
            for place in places:
                sequence += 1
                rows.append((sequence, batch.came_at, batch.hashes[place], *batch.rows[place]))
        if rows:
            _insert(connection, rows)
            connection.execute(update(LOG).values(last_sequence=sequence))
    return outcomes


def turn_to_write(connection: Connection) -> tuple[int, int]:
    """The log's last sequence number and last erasure; other writers wait until the transaction ends.

    LogUnavailable where the log has another format than when it was opened.
    """
    head = select(LOG.c.last_sequence, LOG.c.last_erasure, LOG.c.format_version).with_for_update()
    sequence, last_erasure, version = connection.execute(head).one()
    if version != FORMAT_VERSION:
        raise LogUnavailable(
            f"the event log has format version {version} now, and this service writes {FORMAT_VERSION}"
        )
    return sequence, last_erasure


def _hashes_of(connection: Connection, ids: Sequence[Sequence[str]]) -> dict[str, bytes]:
    """The hash of each of these events that the log has."""
    wanted = list(dict.fromkeys(event_id for of_batch in ids for event_id in of_batch))
    known: dict[str, bytes] = {}
    for start in range(0, len(wanted), IDS_AT_A_TIME):
        part = wanted[start : start + IDS_AT_A_TIME]
        query = select(EVENTS.c.event_id, EVENTS.c.content_sha256)
        found = connection.execute(query.where(EVENTS.c.event_id.in_(part)))
        known.update((event_id, content) for event_id, content in found)
    return known


def _outcome(batch: Batch, known: dict[str, bytes]) -> tuple[Receipt | Conflict, list[int]]:
    """What becomes of a batch, and the places of its new events, which are `known` from now on."""
    fresh: dict[str, int] = {}
    conflicting = []
    for place, event_id in enumerate(batch.event_ids):
        before = known.get(event_id)
        if before is None and event_id in fresh:
            before = batch.hashes[fresh[event_id]]
        if before is None:
            fresh[event_id] = place
        elif before != batch.hashes[place]:
            conflicting.append(event_id)
    if conflicting:
        return Conflict(tuple(dict.fromkeys(conflicting))), []
    known |= {event_id: batch.hashes[place] for event_id, place in fresh.items()}
    return Receipt(len(fresh), len(batch.rows) - len(fresh)), list(fresh.values())


def _insert(connection: Connection, rows: list[Row]) -> None:
    """By the driver itself: rows stay tuples, which is twice as fast as SQLAlchemy's own insert."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    names = ", ".join(column.name for column in EVENTS.columns)
    marks = ", ".join([mark] * len(EVENTS.columns))
    connection.exec_driver_sql(f"INSERT INTO {EVENTS.name} ({names}) VALUES ({marks})", rows)
