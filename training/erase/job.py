"""Job: every folder of a recipe without the erased customers, and a receipt for each of them."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.erasure.tombstones import ErasedIds, Tombstones
from training.erase.recipe import EraseConfig

logger = logging.getLogger(__name__)


def erase(config: EraseConfig) -> None:
    """Clean the folders one by one, each whole before and after; a run that was killed goes on.

    ValueError, before anything is touched, for a folder that is none and a key that is missing.
    """
    from lifecycle.erasure.current import erased_by
    from lifecycle.folders import Erasure
    from training.erase.folders import clean_folder
    from training.erase.known import gather
    from training.erase.swap import mend

    for folder in config.folders:
        mend(_real(folder))
    _require_folders(config)
    tombstones = gather(config, datetime.now(UTC))
    erased = erased_by(tombstones, config.key)
    now = Erasure(
        generation=tombstones.generation,
        tombstones=config.tombstones.absolute(),
        key=None if config.key is None else config.key.absolute(),
    )
    for folder in config.folders:
        clean_folder(_real(folder), erased, now)
    num_receipts = _write_receipts(config, tombstones, erased)
    logger.info("%s: %d receipts", config.receipts, num_receipts)


def _write_receipts(config: EraseConfig, tombstones: Tombstones, erased: ErasedIds) -> int:
    from training.erase.elsewhere import found_elsewhere
    from training.erase.known import deleted_from_log
    from training.erase.receipts import Found, found_in, models_in, write_receipts

    found = found_in(config.folders)
    for sha256, num_events in deleted_from_log(config).items():
        found.setdefault(sha256, Found()).deleted["log"] += num_events
    for sha256, pending in found_elsewhere(config.models, config.folders, erased).items():
        found.setdefault(sha256, Found()).pending += pending
    models = models_in([*config.folders, *config.models])
    return write_receipts(config.receipts, tombstones.tombstones, found, models, config.exports)


def _require_folders(config: EraseConfig) -> None:
    for name in ("folders", "models"):
        for folder in getattr(config, name):
            if not folder.is_dir():
                raise ValueError(f"{name}: {folder} is no folder")
    if config.log is None:
        return
    from lifecycle.log.database import parse_url, sqlite_path

    log = sqlite_path(parse_url(config.log))
    for folder in config.folders:
        if log is not None and log.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"folders: {folder} holds the log {log}, which is open; keep it elsewhere"
            )


def _real(folder: Path) -> Path:
    """What a link leads to is cleaned, and the link stays."""
    return folder.resolve() if folder.is_symlink() else folder
