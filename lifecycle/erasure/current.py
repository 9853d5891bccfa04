"""Whether a folder is as new as the tombstones: no job reads one that may still hold an erased customer."""

from pathlib import Path

from lifecycle.erasure.keys import default_path, read_keys
from lifecycle.erasure.tombstones import ErasedIds, Tombstones, erased_ids, read_tombstones
from lifecycle.folders import Erasure, Stored, read_manifest

REMEDY = "run python -m training.erase --config FILE, with this folder in its recipe"


class _Erased(Stored):
    erasure: Erasure | None = None


def erased_by(tombstones: Tombstones, key: Path | None) -> ErasedIds:
    """Who is erased by a file of tombstones, and the key file that its recipe names; ValueError without the key."""
    if not tombstones.in_force:
        return ErasedIds()
    return erased_ids(tombstones.in_force, read_keys(key or default_path()))


def require_current(folder: Path, erasure: Erasure | None) -> None:
    """ValueError where a folder is older than the tombstones that it was made with, or their key is missing."""
    if erasure is None:
        return
    tombstones = read_tombstones(erasure.tombstones)
    erased_by(tombstones, erasure.key)
    require_not_older(folder, erasure, tombstones.generation)
    behind = len(tombstones.since(erasure.generation))
    if behind:
        raise ValueError(
            f"{folder} is older than tombstones {erasure.tombstones}: {behind} erased customers may still be "
            f"in it; {REMEDY}"
        )


def require_not_older(folder: Path, erasure: Erasure, generation: int) -> None:
    """ValueError where the tombstones, of this generation, are older than a folder that was cleaned by them."""
    if generation < erasure.generation:
        raise ValueError(
            f"{folder} was cleaned at generation {erasure.generation}, and tombstones {erasure.tombstones} "
            f"end at {generation}: has an older copy taken their place?"
        )


def require_as_current(folder: Path, kind: str, data: Erasure | None) -> None:
    """The same of a complete folder that was made from data of which this is known.

    One that says nothing of erasures itself is from before there were any.
    """
    own = read_manifest(folder, kind, _Erased).erasure
    before = None if data is None else data.model_copy(update={"generation": 0})
    require_current(folder, own or before)


def erasure_of(data: Erasure | None) -> Erasure | None:
    """What the manifest of a folder says that is made from data of which this is known: its own rows are its own."""
    return None if data is None else data.model_copy(update={"rows": {}})
