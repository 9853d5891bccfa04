"""How a log is made and opened: its format is known, and it is the log that it is taken for."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from lifecycle.log.database import Log, connect, parse_url, shown_url, sqlite_path, writing
from lifecycle.log.erased import LogErasures
from lifecycle.log.problems import in_words
from lifecycle.log.schema import FORMAT_VERSION, LOG, METADATA, TOMBSTONES, WITHOUT_TOMBSTONES


def make_log(url: str, key: Path | None = None) -> Log:
    """The log at a URL, made where there is none; ValueError where it cannot be used. `key`: see `open_log`."""
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None and not path.parent.is_dir():
        raise ValueError(f"log {path}: the folder {path.parent} does not exist")
    engine = connect(parsed)
    with _usable(engine), writing(engine) as connection:
        _make_tables(connection)
    if path is not None:  # the name of a new file is on disk only once its folder is
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return _opened(engine, key)


def open_log(url: str, key: Path | None = None) -> Log:
    """The log at a URL, which is there; ValueError where it is not, or cannot be used.

    `key` is the file that erased ids are hashed with, None the default one: ValueError where the
    log has tombstones and it is missing.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None and not path.is_file():
        raise ValueError(f"there is no log at {shown_url(parsed)}")
    return _opened(connect(parsed), key)


def _opened(engine: Engine, key: Path | None) -> Log:
    with _usable(engine), engine.connect() as connection:
        if not inspect(connection).has_table(LOG.name):
            raise ValueError(f"{shown_url(engine.url)} holds no log: it has no table {LOG.name}")
        found = connection.execute(select(LOG.c.format_version, LOG.c.identity)).one_or_none()
    if found is not None and found.format_version == WITHOUT_TOMBSTONES:
        with _usable(engine), writing(engine) as connection:
            _add_tombstones(connection)
        return _opened(engine, key)
    if found is None:
        raise ValueError(f"{shown_url(engine.url)} is damaged: {LOG.name} has no row")
    version, identity = found
    if version != FORMAT_VERSION:
        word = (
            "a newer Evervalue wrote it" if version > FORMAT_VERSION else "export and make it anew"
        )
        raise ValueError(
            f"log {shown_url(engine.url)} has format version {version}; this is {FORMAT_VERSION}: {word}"
        )
    log = Log(engine, identity, LogErasures(key))
    with _usable(engine), engine.connect() as connection:
        log.erasures.check(connection)
    return log


def _add_tombstones(connection: Connection) -> None:
    """What a log of the version before lacks."""
    _lock_tables(connection)
    row = connection.execute(select(LOG.c.format_version)).scalar_one()
    if row != WITHOUT_TOMBSTONES:  # somebody else was faster
        return
    added = f"ALTER TABLE {LOG.name} ADD COLUMN last_erasure BIGINT NOT NULL DEFAULT 0"
    connection.execute(text(added))
    TOMBSTONES.create(connection)
    connection.execute(update(LOG).values(format_version=FORMAT_VERSION))


def _lock_tables(connection: Connection) -> None:
    """Until the transaction ends; SQLite's own lock for writers does that."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('evervalue_log'))"))


def _make_tables(connection: Connection) -> None:
    """All tables and the one row of LOG, by one process at a time."""
    _lock_tables(connection)
    if inspect(connection).has_table(LOG.name):  # of whatever version
        return
    METADATA.create_all(connection)
    row = {
        "id": 1,
        "format_version": FORMAT_VERSION,
        "identity": uuid.uuid4().hex,
        "last_sequence": 0,
        "last_erasure": 0,
    }
    connection.execute(insert(LOG).values(row))


@contextmanager
def _usable(engine: Engine) -> Iterator[None]:
    """ValueError with the log's name in place of what the database raises while it is opened."""
    try:
        yield
    except DBAPIError as error:
        raise ValueError(f"log {shown_url(engine.url)} cannot be used: {in_words(error)}") from None
