"""Receipts, read off what the folders say: what was deleted where, and which models have learned from whom."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.config import Tree
from lifecycle.differences import content
from lifecycle.erasure.receipt import ErasureReceipt, exports_named
from lifecycle.erasure.tombstones import Tombstone
from lifecycle.events.shards import DATA_KIND
from lifecycle.folders import MANIFEST, Stored, read_stored, write_json
from training.erase.folders import MODELS, record_of
from training.prepare.dataset import EXAMPLES_KIND


class Model(Stored):
    """What an artifact or a member says of what it was made from."""

    kind: str
    identity: str
    dataset: str | None = None  # identity of the examples
    data_identity: str | None = None
    made_from: Tree = {}

    def learned_from(self, kind: str, identity: str) -> bool:
        """Whether it was made from the data or the examples of an identity."""
        if identity in (self.dataset, self.data_identity):
            return True
        return content(kind, identity).items() <= self.made_from.items()


@dataclass
class Found:
    """What is known of one erased customer."""

    deleted: Counter[str] = field(default_factory=Counter)  # rows, by place
    sources: set[tuple[str, str]] = field(default_factory=set)  # kinds and identities that held it
    exports: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)  # files that still hold it


def write_receipts(
    folder: Path,
    tombstones: Iterable[Tombstone],
    found: dict[str, Found],
    models: Sequence[tuple[Path, Model]],
    exports: Sequence[str],
) -> int:
    """A JSON file for each erased customer, by its keyed hash; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    latest = {each.sha256: each for each in tombstones}
    for sha256, tombstone in latest.items():
        own = found.get(sha256, Found())
        receipt = ErasureReceipt(
            customer=sha256,
            key=tombstone.key,
            erased_at=tombstone.erased_at,
            lifted_at=tombstone.lifted_at,
            deleted=dict(own.deleted),
            pending=tuple(own.pending),
            trained=tuple(_trained(own, models)),
            exports=tuple(dict.fromkeys([*own.exports, *exports])),
        )
        write_json(folder / f"{sha256}.json", receipt.model_dump(mode="json"))
    return len(latest)


def found_in(folders: Iterable[Path]) -> dict[str, Found]:
    """What folders, and those within them, say of each erased customer, by its hash."""
    found: dict[str, Found] = {}
    for folder in folders:
        erasure = record_of(folder).erasure
        for sha256, num_rows in ({} if erasure is None else erasure.rows).items():
            found.setdefault(sha256, Found()).deleted[str(folder)] += num_rows
        for inner in _complete_folders(folder):
            record = record_of(inner)
            if record.kind not in (DATA_KIND, EXAMPLES_KIND) or record.erasure is None:
                continue
            for sha256 in record.erasure.rows:
                own = found.setdefault(sha256, Found())
                own.sources.add((str(record.kind), str(record.identity)))
                own.exports += exports_named(record.made_from)
    return found


def models_in(places: Iterable[Path]) -> list[tuple[Path, Model]]:
    """The artifacts and members in or below these folders; ValueError for a place that is none."""
    found = {}
    for place in places:
        for folder in _complete_folders(place):
            if record_of(folder).kind in MODELS:
                found[folder] = read_stored(folder / MANIFEST, Model)
    return list(found.items())


def _complete_folders(place: Path) -> Iterator[Path]:
    for manifest in sorted(place.rglob(MANIFEST)):
        yield manifest.parent


def _trained(own: Found, models: Sequence[tuple[Path, Model]]) -> Iterator[str]:
    for path, model in models:
        if any(model.learned_from(kind, identity) for kind, identity in own.sources):
            yield f"{model.kind} {path} ({model.identity})"
