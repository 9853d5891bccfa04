"""A folder written anew beside the old one, without erased customers; what does not hold any is linked."""

import json
import logging
import shutil
from collections import Counter
from pathlib import Path

from polars.exceptions import PolarsError

from lifecycle.artifact.contents import ARTIFACT_KIND
from lifecycle.config import Tree
from lifecycle.erasure.current import require_not_older
from lifecycle.erasure.tombstones import ErasedIds
from lifecycle.events.shards import DATA_KIND
from lifecycle.folders import MANIFEST, Erasure, Stored, file_sha256, read_stored, write_json
from lifecycle.llama.member import MEMBER_KIND
from lifecycle.state.files import STATE_KIND
from training.erase.arena import clean_report
from training.erase.data import clean_data
from training.erase.examples import clean_dataset, clean_sequences, holds_sequences
from training.erase.state import clean_state
from training.erase.swap import replaced_folder
from training.erase.tables import (
    Sweep,
    clean_csv,
    clean_json,
    clean_json_lines,
    clean_parquet,
    link,
)
from training.prepare.dataset import EXAMPLES_KIND

logger = logging.getLogger(__name__)
RECORD_FILE = "erasure.json"  # of folders that have no manifest
MODELS = (ARTIFACT_KIND, MEMBER_KIND)  # whose weights no customer can be taken out of
DERIVED = ("activations",)  # kinds that are made anew from data and examples
CLEANERS = {
    ".parquet": clean_parquet,
    ".csv": clean_csv,
    ".tsv": clean_csv,
    ".json": clean_json,
    ".jsonl": clean_json_lines,
}


class Record(Stored):
    """What a folder says of erasures, in its manifest or in RECORD_FILE."""

    kind: str | None = None
    identity: str | None = None
    made_from: Tree = {}
    erasure: Erasure | None = None


def record_of(folder: Path) -> Record:
    """What a folder says of itself; a folder that no job has completed says nothing."""
    for name in (MANIFEST, RECORD_FILE):
        if (folder / name).is_file():
            return read_stored(folder / name, Record)
    return Record()


def clean_folder(folder: Path, erased: ErasedIds, now: Erasure) -> None:
    """Bring a folder to the generation of `now`; one that is there already is left as it is."""
    found = record_of(folder)
    if _is_clean(folder, found.erasure, now):
        logger.info("%s is clean already, generation %d", folder, now.generation)
        return
    with replaced_folder(folder) as target:
        sweep = Sweep(erased)
        if found.kind in DERIVED:
            logger.info("%s is derived: it is emptied, and made anew by who needs it", folder)
        else:
            _clean_into(folder, target, sweep, now)
            if not (target / MANIFEST).exists():
                told = _erasure(now, found, sweep)
                write_json(target / RECORD_FILE, {"erasure": told.model_dump(mode="json")})
    logger.info(
        "%s: %d rows of %d customers deleted, generation %d",
        folder,
        sweep.rows.total(),
        len(sweep.rows),
        now.generation,
    )


def _is_clean(folder: Path, before: Erasure | None, now: Erasure) -> bool:
    """Generations are those of one file; ValueError where an older copy has taken its place."""
    if before is None or before.tombstones != now.tombstones:
        return False
    require_not_older(folder, before, now.generation)
    return before.generation == now.generation


def _clean_into(source: Path, target: Path, sweep: Sweep, now: Erasure) -> None:
    """Write a folder anew: what lies in it first, its manifest last."""
    record = record_of(source)
    if record.kind in MODELS:
        shutil.copytree(source, target, copy_function=link, symlinks=True, dirs_exist_ok=True)
        return
    own = Sweep(sweep.erased)
    if holds_sequences(source):
        clean_sequences(source, target, own)
    else:
        for path in sorted(source.iterdir()):
            _clean_path(path, target / path.name, own, now)
    changes: Tree = {}
    if own.rows and record.kind == DATA_KIND:
        changes = clean_data(source, target, own)
    elif own.rows and record.kind == EXAMPLES_KIND:
        clean_dataset(source, target)
    elif own.rows and record.kind == STATE_KIND:
        changes = clean_state(source, target)
    elif own.rows and record.kind is None:
        clean_report(target)
    if record.kind is not None:
        _write_manifest(source, target, changes, _erasure(now, record, own))
    sweep.add(own)


def _clean_path(path: Path, target: Path, sweep: Sweep, now: Erasure) -> None:
    if path.is_symlink():
        link(path, target)
    elif path.is_dir():
        if record_of(path).kind in DERIVED:
            logger.info("%s is left out: it is derived, and made anew by who needs it", path)
            return
        target.mkdir()
        _clean_into(path, target, sweep, now)
    elif path.name not in (MANIFEST, RECORD_FILE):
        _clean_file(path, target, sweep)


def _clean_file(path: Path, target: Path, sweep: Sweep) -> None:
    """ValueError names a file that cannot be read."""
    clean = CLEANERS.get(path.suffix.lower())
    if clean is None:
        link(path, target)
        return
    try:
        clean(path, target, sweep)
    except (ValueError, PolarsError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _erasure(now: Erasure, before: Record, sweep: Sweep) -> Erasure:
    rows = Counter({} if before.erasure is None else before.erasure.rows) + sweep.rows
    return now.model_copy(update={"rows": dict(rows)})


def _write_manifest(source: Path, target: Path, changes: Tree, erasure: Erasure) -> None:
    """The manifest of a folder with other files, and what has changed; hashes of linked files are known."""
    manifest = json.loads((source / MANIFEST).read_text())
    files = {}
    hashes = manifest.get("files", {})
    for path in sorted(each for each in target.rglob("*") if each.is_file()):
        name = str(path.relative_to(target))
        old = source / name
        is_same = old.is_file() and path.samefile(old)
        known = hashes.get(name) if is_same else None
        files[name] = known or file_sha256(path)
    told = {"erasure": erasure.model_dump(mode="json"), "files": files}
    write_json(target / MANIFEST, manifest | changes | told)
