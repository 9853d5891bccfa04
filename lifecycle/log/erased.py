"""Who is erased, as one process knows it: read again whenever the log says that the tombstones have changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, select

from lifecycle.erasure.keys import default_path, read_keys
from lifecycle.erasure.tombstones import ErasedIds, Tombstone, erased_ids
from lifecycle.log.instants import instant
from lifecycle.log.problems import LogUnavailable
from lifecycle.log.schema import LOG, TOMBSTONES


@dataclass
class LogErasures:
    """The tombstones of an open log. Safe to call from several threads."""

    key: Path | None = None  # the key file; None: the default one
    read_at: int = 0  # number of the latest change that is known
    known: ErasedIds = field(default_factory=ErasedIds)
    lock: Lock = field(default_factory=Lock)

    @property
    def key_file(self) -> Path:
        """Where the keys lie."""
        return self.key or default_path()

    def check(self, connection: Connection) -> None:
        """Read the tombstones; ValueError where the log has some and a key is missing."""
        last = connection.execute(select(LOG.c.last_erasure)).scalar_one()
        with self.lock:
            self._read(connection, last)

    def among(
        self, connection: Connection, last_erasure: int, customer_ids: Iterable[str]
    ) -> set[str]:
        """Those of these customers who are erased, as of a change; LogUnavailable without the key."""
        with self.lock:
            if last_erasure != self.read_at:
                try:
                    self._read(connection, last_erasure)
                except ValueError as error:
                    raise LogUnavailable(f"who is erased cannot be told: {error}") from None
            known = self.known
        return known.among(customer_ids)

    def _read(self, connection: Connection, last_erasure: int) -> None:
        found = tombstones_in(connection)
        in_force = [each for each in found if each.lifted_at is None]
        self.known = erased_ids(in_force, read_keys(self.key_file) if in_force else None)
        self.read_at = last_erasure


def tombstones_in(connection: Connection) -> list[Tombstone]:
    """All tombstones of a log, in the order in which they came."""
    rows = connection.execute(select(TOMBSTONES).order_by(TOMBSTONES.c.sequence))
    return [
        Tombstone(
            key=row.key,
            sha256=row.sha256,
            erased_at=instant(row.erased_at),
            lifted_at=None if row.lifted_at is None else instant(row.lifted_at),
        )
        for row in rows
    ]
