"""The tables of the log: every accepted event with its sequence number and when it came, and who is erased."""

import polars as pl
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from lifecycle.events.schema import EVENT_SCHEMA

FORMAT_VERSION = 2
WITHOUT_TOMBSTONES = 1  # a version that is brought to the present one where it is opened
# The day of the shop is not stored: it follows from the shop's zone, which a log does not know.
CONTENT = tuple(name for name in EVENT_SCHEMA if name != "shop_day")
WHOLE = BigInteger().with_variant(Integer, "sqlite")  # the key of SQLite's rows is an INTEGER

METADATA = MetaData()
LOG = Table(  # one row
    "evervalue_log",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("format_version", Integer, nullable=False),
    Column("identity", Text, nullable=False),
    # Of the latest event that ever came. It stays when that one is erased, so that no number comes twice.
    Column("last_sequence", WHOLE, nullable=False),
    # Of the latest change of the tombstones, which take numbers as events do.
    Column("last_erasure", WHOLE, nullable=False, server_default="0"),
)
TOMBSTONES = Table(
    "evervalue_tombstones",
    METADATA,
    Column("sequence", WHOLE, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    Column("erased_at", WHOLE, nullable=False),  # microseconds since 1970
    Column("lifted_at", WHOLE, nullable=True),
    Column("num_events", WHOLE, nullable=False),  # that were deleted here
)


def _column(name: str) -> Column[str] | Column[float] | Column[int]:
    """Of an event's content; instants are microseconds since 1970."""
    dtype = EVENT_SCHEMA[name]
    optional = name not in ("event_id", "customer_id", "occurred_at", "kind")
    if dtype == pl.Float64:
        return Column(name, Double, nullable=optional)
    if dtype == pl.String:
        return Column(name, Text, nullable=optional, unique=name == "event_id" or None)
    return Column(name, WHOLE, nullable=optional)


EVENTS = Table(
    "evervalue_events",
    METADATA,
    Column("sequence", WHOLE, primary_key=True, autoincrement=False),
    Column("came_at", WHOLE, nullable=False),
    Column("content_sha256", LargeBinary, nullable=False),
    *map(_column, CONTENT),
    Index("evervalue_events_of_customer", "customer_id", "sequence"),
)
SERVICES = Table(  # processes that write an SQLite log
    "evervalue_services",
    METADATA,
    Column("service", Text, nullable=False),
    Column("host", Text, primary_key=True),
    Column("pid", Integer, primary_key=True),
    Column("started_at", Double, nullable=False),  # seconds since 1970: a pid is given again
)
