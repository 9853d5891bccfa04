"""Tombstones: keyed hashes of erased ids, in a file that jobs name and in the log; they tell who is erased."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, Field

from lifecycle.erasure.keys import ErasureKey, ErasureKeys
from lifecycle.folders import Stored, read_stored, write_json


class Tombstone(Stored):
    """An erased customer, by the hash that one of the keys makes of its id."""

    key: str  # its id
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    erased_at: AwareDatetime
    lifted_at: AwareDatetime | None = None  # since then the customer may come back
    generation: int = 0  # of the file, by which it came in; 0 in the log

    @property
    def place(self) -> tuple[str, str, float]:
        """What tells it from others: a customer may be erased again after it came back."""
        return self.key, self.sha256, self.erased_at.timestamp()


class Tombstones(Stored):
    """The content of a file of tombstones; `generation` is raised whenever some are added."""

    format_version: Literal[1] = 1
    generation: int = 0
    tombstones: tuple[Tombstone, ...] = ()

    @property
    def in_force(self) -> list[Tombstone]:
        """Those that are not lifted."""
        return [each for each in self.tombstones if each.lifted_at is None]

    def since(self, generation: int) -> list[Tombstone]:
        """Those in force that are newer than what was cleaned at a generation."""
        return [each for each in self.in_force if each.generation > generation]

    def with_others(self, others: Iterable[Tombstone]) -> Self:
        """With what others tell: new ones get the next generation, lifted ones are lifted here."""
        told = {each.place: each for each in others}
        kept = [self._latest(each, told.pop(each.place, each)) for each in self.tombstones]
        if not told:
            return self.model_copy(update={"tombstones": tuple(kept)})
        generation = self.generation + 1
        new = [each.model_copy(update={"generation": generation}) for each in told.values()]
        return self.model_copy(
            update={"generation": generation, "tombstones": (*kept, *new)},
        )

    @staticmethod
    def _latest(own: Tombstone, other: Tombstone) -> Tombstone:
        return own.model_copy(update={"lifted_at": own.lifted_at or other.lifted_at})


@dataclass(frozen=True)
class ErasedIds:
    """Who is erased. Without tombstones no key is needed, and nothing is hashed."""

    keys: Sequence[ErasureKey] = ()  # those that wrote tombstones
    hashes: frozenset[tuple[str, str]] = frozenset()  # key and hash

    def __bool__(self) -> bool:
        """Whether anybody is."""
        return bool(self.hashes)

    def hash_of(self, customer_id: str) -> str | None:
        """The hash that stands for a customer among the tombstones; None of one who is not erased."""
        for key in self.keys:
            sha256 = key.hash_of(customer_id)
            if (key.id, sha256) in self.hashes:
                return sha256
        return None

    def plus(self, other: "ErasedIds") -> "ErasedIds":
        """Whoever is erased by one of them."""
        keys = {key.id: key for key in (*self.keys, *other.keys)}
        return ErasedIds(tuple(keys.values()), self.hashes | other.hashes)

    def among(self, customer_ids: Iterable[str]) -> set[str]:
        """Those of these customers who are erased."""
        if not self:
            return set()
        return {each for each in customer_ids if self.hash_of(each) is not None}


NOBODY = ErasedIds()


def erased_ids(tombstones: Sequence[Tombstone], keys: ErasureKeys | None) -> ErasedIds:
    """Who is erased by some tombstones; ValueError where a key that wrote one is not at hand."""
    found = [each for each in tombstones if each.lifted_at is None]
    if not found:
        return ErasedIds()
    assert keys is not None
    used = keys.of(dict.fromkeys(each.key for each in found))
    return ErasedIds(used, frozenset((each.key, each.sha256) for each in found))


def read_tombstones(path: Path) -> Tombstones:
    """The tombstones of a file; ValueError where there is none, or it is damaged."""
    if not path.is_file():
        raise ValueError(
            f"tombstones {path}: there is no such file; python -m training.erase makes it"
        )
    return read_stored(path, Tombstones)


def write_tombstones(path: Path, tombstones: Tombstones) -> None:
    """Write a file of tombstones, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, tombstones.model_dump(mode="json"))
