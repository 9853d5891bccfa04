"""Connections to a log that acknowledge nothing before it is on disk: SQLite or PostgreSQL, by URL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from lifecycle.log.erased import LogErasures
from lifecycle.log.problems import NotDurable, problems_told

RULE = "it must be sqlite:///PATH or postgresql://USER@HOST/DATABASE"
LOCK_SECONDS = 10  # that a writer waits for another
# A server that vanished without a word is given up in half a minute; TCP's own time is a quarter of an hour.
PROBES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
UNACKNOWLEDGED_MS = 25_000
SQLITE_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
DURABLE = ("FULL", "EXTRA", "on", "remote_apply")  # an acknowledged event is on disk


@dataclass(frozen=True)
class Log:
    """An open log. `identity` tells it from others; sequence numbers mean nothing without it."""

    engine: Engine
    identity: str
    erasures: LogErasures = field(default_factory=LogErasures)

    @property
    def url(self) -> str:
        """By which another process, of any folder, opens it; with its password."""
        return self.engine.url.render_as_string(hide_password=False)

    @property
    def path(self) -> Path | None:
        """The file of an SQLite log."""
        return sqlite_path(self.engine.url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads; LogUnavailable where the database does not answer."""
        with problems_told(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, committed to disk at the end. LogUnavailable and LogFull."""
        with problems_told(), writing(self.engine) as connection:
            yield connection


def parse_url(url: str) -> URL:
    """The URL of a log, an SQLite path made absolute; ValueError for any other, without its password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"the URL of the log cannot be read; {RULE}") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql" and parsed.database:
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        assert parsed.database is not None
        return parsed.set(drivername="sqlite", database=str(Path(parsed.database).absolute()))
    raise ValueError(f"log is {shown_url(url)}; {RULE}")


def shown_url(url: str | URL) -> str:
    """A URL without its password."""
    return make_url(url).render_as_string(hide_password=True)


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite log; None for PostgreSQL."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def connect(url: URL) -> Engine:
    """An engine each of whose connections is checked to be durable when it is made."""
    if sqlite_path(url) is not None:
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # after the server has been started again
        connect_args={
            "connect_timeout": LOCK_SECONDS,
            "options": f"-c synchronous_commit=on -c lock_timeout={LOCK_SECONDS}s",
            "tcp_user_timeout": UNACKNOWLEDGED_MS,
            **PROBES,
        },
    )
    event.listen(engine, "connect", _check_postgres)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds SQLite's lock for writers from its beginning."""
    with engine.connect().execution_options(evervalue_writes=True) as connection:
        with connection.begin():
            yield connection


def durability(connection: Connection) -> str:
    """What the database says of this connection: FULL and EXTRA, or on and remote_apply, wait for the disk."""
    if connection.dialect.name == "sqlite":
        number = connection.execute(text("PRAGMA synchronous")).scalar_one()
        return SQLITE_SYNCHRONOUS[number]
    return str(connection.execute(text("SHOW synchronous_commit")).scalar_one())


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # BEGIN is ours, see `_begin_sqlite`
    connection.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
    [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise NotDurable(f"the log is in journal mode {mode}; it needs a local disk, for mode wal")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten with zeros
    [number] = connection.execute("PRAGMA synchronous").fetchone()
    _require_durable("synchronous", SQLITE_SYNCHRONOUS[number])


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("evervalue_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check_postgres(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for setting in ("synchronous_commit", "fsync"):
        cursor.execute(f"SHOW {setting}")
        [value] = cursor.fetchone() or [None]
        _require_durable(setting, value)
    cursor.close()
    connection.rollback()


def _require_durable(setting: str, value: object) -> None:
    if value not in DURABLE:
        raise NotDurable(
            f"{setting} of the log's database is {value}; acknowledged events need one of {DURABLE}"
        )
