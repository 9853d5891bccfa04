"""How a customer leaves the log: tombstone and events in one transaction, and nothing of them left in its files."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, text, update

from lifecycle.erasure.keys import ErasureKey, read_keys
from lifecycle.erasure.tombstones import Tombstone, erased_ids
from lifecycle.log.database import Log
from lifecycle.log.erased import tombstones_in
from lifecycle.log.instants import instant, microseconds
from lifecycle.log.problems import problems_told
from lifecycle.log.schema import EVENTS, LOG, TOMBSTONES
from lifecycle.log.writer import turn_to_write


@dataclass(frozen=True)
class LogErasure:
    """What the log knows of an erased customer."""

    tombstone: Tombstone
    num_events: int  # that were deleted


def find_erasure(log: Log, customer_id: str) -> LogErasure | None:
    """The erasure of a customer that is in force; ValueError without the key."""
    keys = read_keys(log.erasures.key_file).keys
    with log.reading() as connection:
        return _in_force(connection, keys, customer_id)


def holds_events(log: Log, customer_id: str) -> bool:
    """Whether the log has an event of a customer."""
    query = select(EVENTS.c.sequence).where(EVENTS.c.customer_id == customer_id).limit(1)
    with log.reading() as connection:
        return connection.execute(query).first() is not None


def erase(log: Log, customer_id: str, erased_at: datetime) -> LogErasure:
    """Write the tombstone and delete the events; who is erased already stays so.

    When this returns all of it is on disk, and whoever reads the log's numbers knows. LogUnavailable
    and LogFull, and nothing has changed; ValueError without the key.
    """
    keys = read_keys(log.erasures.key_file)
    with log.writing() as connection:
        sequence = turn_to_write(connection)[0] + 1
        before = _in_force(connection, keys.keys, customer_id)
        if before is not None:
            return before
        is_theirs = EVENTS.c.customer_id == customer_id
        num_events = connection.execute(delete(EVENTS).where(is_theirs)).rowcount
        row = {
            "sequence": sequence,
            "key": keys.newest.id,
            "sha256": keys.newest.hash_of(customer_id),
            "erased_at": microseconds(erased_at),
            "num_events": num_events,
        }
        connection.execute(insert(TOMBSTONES).values(row))
        _tell(connection, sequence)
    told = Tombstone(key=row["key"], sha256=row["sha256"], erased_at=erased_at)
    return LogErasure(told, num_events)


def lift(log: Log, customer_id: str, lifted_at: datetime) -> LogErasure | None:
    """Let an erased customer come back; None where nobody of this id is erased. Raises what `erase` does."""
    keys = read_keys(log.erasures.key_file)
    with log.writing() as connection:
        sequence = turn_to_write(connection)[0] + 1
        before = _in_force(connection, keys.keys, customer_id)
        if before is None:
            return None
        told = before.tombstone
        is_it = (TOMBSTONES.c.key == told.key) & (TOMBSTONES.c.sha256 == told.sha256)
        lifting = update(TOMBSTONES).where(is_it, TOMBSTONES.c.lifted_at.is_(None))
        connection.execute(lifting.values(lifted_at=microseconds(lifted_at)))
        _tell(connection, sequence)
    return LogErasure(told.model_copy(update={"lifted_at": lifted_at}), before.num_events)


def enter(log: Log, tombstones: Sequence[Tombstone]) -> None:
    """Let the log know who was erased where it was not there; ValueError without the key."""
    keys = read_keys(log.erasures.key_file)
    with log.writing() as connection:
        sequence = turn_to_write(connection)[0] + 1
        known = {each.place for each in tombstones_in(connection)}
        new = [each for each in tombstones if each.lifted_at is None and each.place not in known]
        if not new:
            return
        erased = erased_ids(new, keys)
        customers = connection.execute(select(EVENTS.c.customer_id).distinct()).scalars()
        for customer_id in erased.among(customers.all()):
            connection.execute(delete(EVENTS).where(EVENTS.c.customer_id == customer_id))
        for number, each in enumerate(new, sequence):
            row = {"sequence": number, "key": each.key, "sha256": each.sha256, "num_events": 0}
            row["erased_at"] = microseconds(each.erased_at)
            connection.execute(insert(TOMBSTONES).values(row))
        _tell(connection, sequence + len(new) - 1)


def events_deleted(log: Log) -> dict[str, int]:
    """How many events of each erased customer were deleted, by its hash."""
    query = select(TOMBSTONES.c.sha256, func.sum(TOMBSTONES.c.num_events))
    with log.reading() as connection:
        rows = connection.execute(query.group_by(TOMBSTONES.c.sha256)).all()
    return {sha256: int(num_events) for sha256, num_events in rows}


def clean_files(log: Log) -> bool:
    """Let nothing that was deleted stay in the files of the database; False where somebody read meanwhile.

    SQLite overwrites what it deletes (secure_delete), but its write-ahead log still has the pages
    from before: a checkpoint empties it. PostgreSQL keeps deleted rows until a vacuum.
    """
    with problems_told(), log.engine.connect() as connection:
        if log.path is None:
            vacuuming = connection.execution_options(isolation_level="AUTOCOMMIT")
            vacuuming.execute(text(f"VACUUM {EVENTS.name}"))
            return True
        sqlite = connection.connection.driver_connection  # a checkpoint is no part of a transaction
        assert isinstance(sqlite, sqlite3.Connection)
        [busy, *_] = sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(busy == 0)


def _tell(connection: Connection, sequence: int) -> None:
    connection.execute(update(LOG).values(last_sequence=sequence, last_erasure=sequence))


def _in_force(
    connection: Connection, keys: tuple[ErasureKey, ...], customer_id: str
) -> LogErasure | None:
    hashes = [key.hash_of(customer_id) for key in keys]
    is_it = TOMBSTONES.c.sha256.in_(hashes) & TOMBSTONES.c.lifted_at.is_(None)
    row = connection.execute(select(TOMBSTONES).where(is_it)).first()
    if row is None:
        return None
    told = Tombstone(key=row.key, sha256=row.sha256, erased_at=instant(row.erased_at))
    return LogErasure(told, row.num_events)
