"""Whom ingest leaves out: who is erased by the recipe's file of tombstones, or by its log."""

from dataclasses import dataclass

from lifecycle.erasure.current import erased_by
from lifecycle.erasure.tombstones import NOBODY, ErasedIds, read_tombstones
from lifecycle.folders import Erasure
from training.ingest.logged import LogPart
from training.ingest.recipe import IngestConfig


@dataclass(frozen=True)
class LeftOut:
    """Who is erased as the job begins, and what the manifest of its output says of that."""

    ids: ErasedIds
    erasure: Erasure | None  # None: the recipe names no tombstones


def who_is_erased(config: IngestConfig, logged: LogPart | None) -> LeftOut:
    """ValueError where tombstones are there and their key is not."""
    of_log = NOBODY if logged is None else logged.log.erasures.known
    if config.tombstones is None:
        return LeftOut(of_log, None)
    tombstones = read_tombstones(config.tombstones)
    erasure = Erasure(
        generation=tombstones.generation,
        tombstones=config.tombstones.absolute(),
        key=None if config.key is None else config.key.absolute(),
    )
    return LeftOut(of_log.plus(erased_by(tombstones, config.key)), erasure)
