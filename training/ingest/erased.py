"""Whom ingest leaves out: who is erased by the recipe's file of tombstones, or by its log."""

from lifecycle.erasure.current import erased_by, require_current
from lifecycle.erasure.tombstones import ErasedIds, read_tombstones
from lifecycle.events.shards import read_data_manifest
from lifecycle.folders import Erasure
from training.ingest.logged import LogPart
from training.ingest.recipe import IngestConfig


def who_is_erased(config: IngestConfig, logged: LogPart | None) -> ErasedIds:
    """ValueError where tombstones are there and their key is not."""
    erased = ErasedIds() if logged is None else logged.log.erasures.known
    if config.tombstones is None:
        return erased
    return erased.plus(erased_by(read_tombstones(config.tombstones), config.key))


def erasure_of(config: IngestConfig, *, is_made_now: bool) -> Erasure | None:
    """What the manifest says of a folder that is made now, or is taken for one from before there were tombstones."""
    if config.tombstones is None:
        return None
    generation = read_tombstones(config.tombstones).generation if is_made_now else 0
    key = None if config.key is None else config.key.absolute()
    return Erasure(generation=generation, tombstones=config.tombstones.absolute(), key=key)


def require_current_output(config: IngestConfig) -> None:
    """ValueError where the complete output is older than the tombstones."""
    found = read_data_manifest(config.output).erasure
    require_current(config.output, found or erasure_of(config, is_made_now=False))
