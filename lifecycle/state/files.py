"""The files of a folder of customer state, and for which artifact and which data it holds."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.log_position import LogPosition
from lifecycle.events.shards import DataManifest, Instant, stable_hash
from lifecycle.folders import Manifest, read_manifest

STATE_KIND = "state"
ANSWERS_FILE = "answers.bin"  # encoded answers, one after the other
HASHES_FILE = "hashes.npy"  # (n,) of customer ids, ascending
PLACES_FILE = "places.npy"  # (n, 2): first byte and end of the answer of each hash
CUSTOMERS_FILE = "customers.parquet"  # the columns of scores.parquet, by customer_id
HASH_SALT = "state"


class StateManifest(Manifest):
    """The manifest of a folder of customer state."""

    as_of: Instant
    artifact: str  # identity
    artifact_files: str  # their fingerprint: the same recipe may have been evaluated again
    data: str  # identity of the ingest folder
    log: LogPosition | None  # that the data contain
    num_customers: int


def read_state_manifest(state: Path) -> StateManifest:
    """The manifest of complete customer state; its files are not read."""
    return read_manifest(state, STATE_KIND, StateManifest)


def check_made_for(
    state: Path, *, artifact: str, artifact_files: str, data: DataManifest
) -> StateManifest:
    """The manifest of customer state; ValueError where another artifact made it, or it is of other data."""
    manifest = read_state_manifest(state)
    anew = "delete it and make it anew with python -m training.score"
    if (manifest.artifact, manifest.artifact_files) != (artifact, artifact_files):
        raise ValueError(f"state {state} was made by another artifact than is served; {anew}")
    if (manifest.data, manifest.log) != (data.identity, data.log):
        raise ValueError(f"state {state} was made of other data than are served; {anew}")
    return manifest


def write_answers(folder: Path, parts: Iterable[pl.DataFrame]) -> int:
    """Write encoded answers and their index; returns of how many customers.

    `parts` have the columns customer_id and answer, no customer twice. One is in memory at a time.
    """
    hashes = [np.empty(0, np.uint64)]
    lengths = [np.empty(0, np.uint64)]
    with (folder / ANSWERS_FILE).open("wb") as file:
        for part in parts:
            file.writelines(part["answer"])
            hashes.append(stable_hash(part["customer_id"], HASH_SALT))
            lengths.append(part["answer"].bin.size().to_numpy().astype(np.uint64))
    all_hashes = np.concatenate(hashes)
    all_lengths = np.concatenate(lengths)
    ends = np.cumsum(all_lengths, dtype=np.uint64)
    order = np.argsort(all_hashes, kind="stable")
    np.save(folder / HASHES_FILE, all_hashes[order])
    np.save(folder / PLACES_FILE, np.column_stack([ends - all_lengths, ends])[order])
    return len(order)
