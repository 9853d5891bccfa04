"""What keeps a log from being read or written for the moment, told by the database's own codes."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection

SQLITE_FULL = (sqlite3.SQLITE_FULL,)
POSTGRES_FULL = ("53100",)


class LogUnavailable(Exception):
    """The log cannot be read or written at the moment; nothing was acknowledged."""


class LogFull(Exception):
    """The log has no room for more events; nothing was acknowledged."""


class NotDurable(ValueError):
    """The database would acknowledge what is not on disk."""


@contextmanager
def problems_told() -> Iterator[None]:
    """LogFull or LogUnavailable in place of what the database raises, without what the statement held."""
    try:
        yield
    except DBAPIError as error:
        told = in_words(error)
        if is_full(error):
            raise LogFull(f"the event log has no room: {told}") from None
        raise LogUnavailable(f"the event log does not answer: {told}") from None
    except NoConnection:
        raise LogUnavailable("the event log does not answer: no connection is free") from None
    except (NotDurable, SQLAlchemyError) as error:  # of a database that changed since it was opened
        raise LogUnavailable(f"the event log cannot be used: {error}") from None


def is_full(error: DBAPIError) -> bool:
    """Whether a disk, or what the database may take of it, is full."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    state = getattr(error.orig, "sqlstate", None)
    return code in SQLITE_FULL or state in POSTGRES_FULL


def in_words(error: DBAPIError) -> str:
    """The first line: PostgreSQL's others may quote values."""
    return str(error.orig).strip().partition("\n")[0]
