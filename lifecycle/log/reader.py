"""What the log holds: up to which sequence number, the events of customers, and all in pages."""

from collections.abc import Iterator, Sequence

import polars as pl
from sqlalchemy import ColumnElement, Connection, select

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.log.database import Log
from lifecycle.log.schema import CONTENT, EVENTS, LOG

PAGE_EVENTS = 100_000
CUSTOMERS_AT_A_TIME = 5000
LAST_SEQUENCE = select(LOG.c.last_sequence)
STORED = pl.Schema(
    (name, pl.Int64() if isinstance(EVENT_SCHEMA[name], pl.Datetime) else EVENT_SCHEMA[name])
    for name in CONTENT
)


def last_sequence(log: Log) -> int:
    """The sequence number of the latest event, 0 of an empty log. Every event up to it can be read."""
    with log.reading() as connection:
        sequence: int = connection.execute(LAST_SEQUENCE).scalar_one()
    return sequence


def events_after(log: Log, sequence: int, customer_ids: Sequence[str]) -> pl.DataFrame:
    """The events of customers after a sequence number, in the order of the log, in the columns of EVENT_SCHEMA.

    The log's last sequence number is read first: what was acknowledged before this call is seen.
    """
    parts = [pl.DataFrame(schema=EVENT_SCHEMA)]
    with log.reading() as connection:
        if connection.execute(LAST_SEQUENCE).scalar_one() <= sequence:
            return parts[0]
        for start in range(0, len(customer_ids), CUSTOMERS_AT_A_TIME):
            ids = customer_ids[start : start + CUSTOMERS_AT_A_TIME]
            is_theirs = EVENTS.c.customer_id.in_(ids) & (EVENTS.c.sequence > sequence)
            parts.append(_events(connection, is_theirs))
    return pl.concat(parts)


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
