"""Who is erased by the file, by the log and by the recipe, brought together before any folder is touched."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from lifecycle.erasure.keys import ErasureKeys, default_path, read_keys
from lifecycle.erasure.tombstones import (
    Tombstone,
    Tombstones,
    erased_ids,
    read_tombstones,
    write_tombstones,
)
from training.erase.recipe import EraseConfig
from training.ingest.logged import shown_url

if TYPE_CHECKING:
    from lifecycle.log.database import Log

logger = logging.getLogger(__name__)


def gather(config: EraseConfig, now: datetime) -> Tombstones:
    """The file of tombstones with all that is known; those of the log and of the recipe are added and saved."""
    keys = read_keys(config.key or default_path())
    known = read_tombstones(config.tombstones) if config.tombstones.exists() else Tombstones()
    erased_ids(known.in_force, keys)
    told = (
        _of_recipe(config, keys, known, now)
        if config.log is None
        else _of_log(config, known.in_force, now)
    )
    gathered = known.with_others(told)
    if gathered != known or not config.tombstones.exists():
        write_tombstones(config.tombstones, gathered)
    logger.info(
        "%s: %d erased customers, generation %d",
        config.tombstones,
        len(gathered.in_force),
        gathered.generation,
    )
    return gathered


def _of_recipe(
    config: EraseConfig, keys: ErasureKeys, known: Tombstones, now: datetime
) -> list[Tombstone]:
    """Without a log: new tombstones of the recipe's customers, and those that it lifts."""
    before = erased_ids(known.in_force, keys)
    key = keys.newest
    new = [each for each in dict.fromkeys(config.customers) if before.hash_of(each) is None]
    told = [Tombstone(key=key.id, sha256=key.hash_of(each), erased_at=now) for each in new]
    hashes = {before.hash_of(each) for each in config.lift}
    lifted = [each for each in known.in_force if each.sha256 in hashes]
    _say_unknown(len(set(config.lift)) - len(lifted))
    return [*told, *(each.model_copy(update={"lifted_at": now}) for each in lifted)]


def _of_log(config: EraseConfig, known: Sequence[Tombstone], now: datetime) -> list[Tombstone]:
    """All of the log's, once it knows those of the file, and the recipe's customers are erased and lifted there."""
    from lifecycle.log.erasing import clean_files, enter, erase, lift
    from lifecycle.log.reader import all_tombstones

    with _opened(config) as log:
        enter(log, known)
        for customer_id in config.customers:
            erase(log, customer_id, now)
        _say_unknown(sum(lift(log, customer_id, now) is None for customer_id in config.lift))
        if not clean_files(log):
            logger.warning("somebody reads the log, whose files keep old pages: run this again")
        return all_tombstones(log)


def deleted_from_log(config: EraseConfig) -> dict[str, int]:
    """How many events of each erased customer the log had, by hash."""
    if config.log is None:
        return {}
    from lifecycle.log.erasing import events_deleted

    with _opened(config) as log:
        return events_deleted(log)


@contextmanager
def _opened(config: EraseConfig) -> Iterator["Log"]:
    """The recipe's log; ValueError where it cannot be opened, read or written."""
    from lifecycle.log.opening import open_log
    from lifecycle.log.problems import LogFull, LogUnavailable

    assert config.log is not None
    log = open_log(config.log, config.key)
    try:
        yield log
    except (LogUnavailable, LogFull) as error:
        raise ValueError(f"log {shown_url(config.log)}: {error}") from None
    finally:
        log.engine.dispose()


def _say_unknown(num_unknown: int) -> None:
    if num_unknown:
        logger.warning("lift names %d customers who are not erased", num_unknown)
