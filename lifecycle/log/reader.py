"""What the log holds: up to which sequence number, the events of customers, and all in pages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from sqlalchemy import ColumnElement, Connection, select

from lifecycle.erasure.tombstones import Tombstone
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.log.database import Log
from lifecycle.log.erased import tombstones_in
from lifecycle.log.schema import CONTENT, EVENTS, LOG

PAGE_EVENTS = 100_000
CUSTOMERS_AT_A_TIME = 5000
LAST_SEQUENCE = select(LOG.c.last_sequence)
HEAD = select(LOG.c.last_sequence, LOG.c.last_erasure)
STORED = pl.Schema(
    (name, pl.Int64() if isinstance(EVENT_SCHEMA[name], pl.Datetime) else EVENT_SCHEMA[name])
    for name in CONTENT
)


def last_sequence(log: Log) -> int:
    """The sequence number of the latest event, 0 of an empty log. Every event up to it can be read."""
    with log.reading() as connection:
        sequence: int = connection.execute(LAST_SEQUENCE).scalar_one()
    return sequence


@dataclass(frozen=True)
class Since:
    """What a log says of some customers: events in the columns of EVENT_SCHEMA, and who of them is erased."""

    sequence: int  # the log's last, by which this is true
    last_erasure: int  # the latest number by which anybody was erased, or may come back
    events: pl.DataFrame
    erased: frozenset[str]


def customers_since(log: Log, sequence: int, customer_ids: Sequence[str]) -> Since:
    """The events of customers after a sequence number, in the order of the log, and who of them is erased.

    The log's last sequence number is read first: what was acknowledged before this call is seen.
    """
    with log.reading() as connection:
        last, last_erasure = connection.execute(HEAD).one()
        erased = log.erasures.among(connection, last_erasure, customer_ids)
        parts = [pl.DataFrame(schema=EVENT_SCHEMA)]
        for start in range(0, len(customer_ids) if last > sequence else 0, CUSTOMERS_AT_A_TIME):
            ids = customer_ids[start : start + CUSTOMERS_AT_A_TIME]
            is_theirs = EVENTS.c.customer_id.in_(ids) & (EVENTS.c.sequence > sequence)
            parts.append(_events(connection, is_theirs))
    return Since(last, last_erasure, pl.concat(parts), frozenset(erased))


def events_after(log: Log, sequence: int, customer_ids: Sequence[str]) -> pl.DataFrame:
    """The events of customers after a sequence number alone; see `customers_since`."""
    return customers_since(log, sequence, customer_ids).events


def all_tombstones(log: Log) -> list[Tombstone]:
    """All tombstones of a log, the lifted ones too."""
    with log.reading() as connection:
        return tombstones_in(connection)


def pages(
    log: Log, after: int, until: int, page_events: int = PAGE_EVENTS
) -> Iterator[pl.DataFrame]:
    """All events with after < sequence <= until, in the order of the log, in pages that are not empty."""
    for start in range(after, until, page_events):
        end = min(start + page_events, until)
        with log.reading() as connection:
            is_here = (EVENTS.c.sequence > start) & (EVENTS.c.sequence <= end)
            page = _events(connection, is_here)
        if page.height:  # erased events leave gaps
            yield page


def _events(connection: Connection, condition: ColumnElement[bool]) -> pl.DataFrame:
    query = select(*(EVENTS.c[name] for name in CONTENT)).where(condition)
    rows = connection.execute(query.order_by(EVENTS.c.sequence)).all()
    stored = pl.DataFrame([tuple(row) for row in rows], schema=STORED, orient="row")
    filled = stored.with_columns(pl.lit(None).alias("shop_day"))
    return filled.select(pl.col(name).cast(dtype) for name, dtype in EVENT_SCHEMA.items())
