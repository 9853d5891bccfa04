"""How far a log has come, read before every answer: cheap enough for the event loop where the log is a local file.

Both reads also bring what the process knows of erasures (`Log.erasures`) up to date.
"""

import sqlite3
from threading import Lock

from sqlalchemy import Select, select

from lifecycle.log.database import Log
from lifecycle.log.reader import HEAD
from lifecycle.log.schema import EVENTS


class Tail:
    """The customers of whom a log has events after a position. Safe to call from several threads."""

    def __init__(self, log: Log, position: int) -> None:
        self.log = log
        self.position = position
        self.read_until = position
        self.read_erasure = 0  # the last that `customers` know; behind another they are read anew
        self.customers: set[str] = set()
        self.lock = Lock()
        self.file = None if log.path is None else _reader_that_never_waits(log)

    def read(self) -> set[str]:
        """The customers, with all that the log acknowledged before this call. LogUnavailable."""
        with self.log.reading() as connection:
            last, last_erasure = connection.execute(HEAD).one()
            self.log.erasures.among(connection, last_erasure, ())
            is_anew = last_erasure != self.read_erasure
            if is_anew or last > self.read_until:
                start = self.position if is_anew else self.read_until
                found = connection.execute(_customers_after(start)).scalars()
                self._add(set(found), last, last_erasure)
        return self.customers

    def read_at_once(self) -> set[str] | None:
        """The same, or None where that would have to wait: for a network, or for a log that is locked."""
        if self.file is None:
            return None
        try:
            [(last, last_erasure)] = self.file.execute(HEAD_AS_TEXT).fetchall()
            if last_erasure != self.log.erasures.read_at or last_erasure != self.read_erasure:
                return None
            if last > self.read_until:
                found = self.file.execute(CUSTOMERS_AS_TEXT, [self.read_until]).fetchall()
                self._add({customer for (customer,) in found}, last, last_erasure)
        except sqlite3.Error:  # `read` waits, and says what it is
            return None
        return self.customers

    def _add(self, customers: set[str], last: int, last_erasure: int) -> None:
        """Count customers as read up to an event and an erasure; others may have been read meanwhile."""
        with self.lock:
            if last_erasure > self.read_erasure:
                self.customers, self.read_until = customers, last
                self.read_erasure = last_erasure
            else:
                self.customers |= customers
                self.read_until = max(self.read_until, last)


def _customers_after(position: int) -> Select[str]:
    return select(EVENTS.c.customer_id).where(EVENTS.c.sequence > position).distinct()


# A tenth of what SQLAlchemy takes for the same, which a request that only looks up would feel.
HEAD_AS_TEXT = str(HEAD)
CUSTOMERS_AS_TEXT = f"SELECT DISTINCT customer_id FROM {EVENTS.name} WHERE sequence > ?"


def _reader_that_never_waits(log: Log) -> sqlite3.Connection:
    """A connection of its own to an SQLite log."""
    pooled = log.engine.raw_connection()
    connection = pooled.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    pooled.detach()
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA query_only = ON")
    return connection
