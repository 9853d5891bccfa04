"""Examples whose tables are clean already: their counts, and the arrays of histories that encoders read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap

from lifecycle.folders import read_stored, write_json
from lifecycle.strict_json import parse_json
from training.erase.tables import CUSTOMER, Sweep, link
from training.prepare.dataset import DATASET_FILE, Dataset
from training.prepare.sequences import (
    ARRAYS,
    CUSTOMERS_FILE,
    FOLDER,
    read_sequences,
    training_customers,
)

TRAIN_CUSTOMERS = "train_customers"


def clean_dataset(source: Path, target: Path) -> None:
    """Bring the numbers of rows in dataset.json to what the parts in `target` have."""
    told = parse_json((source / DATASET_FILE).read_bytes())
    assert isinstance(told, dict)
    num_rows = {
        path.stem: pq.read_metadata(path).num_rows for path in sorted(target.glob("*.parquet"))
    }
    before = told["num_rows"]
    assert isinstance(before, dict)
    if TRAIN_CUSTOMERS in before:
        dataset = read_stored(source / DATASET_FILE, Dataset)
        stored = read_sequences(target / FOLDER)
        customers = training_customers(stored, dataset.train_cutoffs[-1], dataset.seed)
        num_rows[TRAIN_CUSTOMERS] = len(customers)
    now = {name: num_rows.get(name, rows) for name, rows in before.items()}
    (target / DATASET_FILE).unlink()
    write_json(target / DATASET_FILE, told | {"num_rows": now})


def holds_sequences(folder: Path) -> bool:
    """Whether a folder is what `write_sequences` wrote."""
    return (folder / CUSTOMERS_FILE).is_file() and all(
        (folder / f"{name}.npy").is_file() for name in ARRAYS
    )


def clean_sequences(source: Path, target: Path, sweep: Sweep) -> None:
    """The histories of all others, end to end again."""
    customers = pl.read_parquet(source / CUSTOMERS_FILE)
    ends = customers["end"].to_numpy()
    lengths = np.diff(ends, prepend=0)
    is_kept = np.array([not sweep.finds(each) for each in customers[CUSTOMER]], dtype=bool)
    arrays = {f"{name}.npy" for name in ARRAYS}
    for path in sorted(source.iterdir()):
        if path.name == CUSTOMERS_FILE and not is_kept.all():
            kept = customers.filter(is_kept)
            kept.with_columns(
                end=pl.Series(np.cumsum(lengths[is_kept]), dtype=customers["end"].dtype)
            ).write_parquet(target / path.name)
        elif path.name in arrays and not is_kept.all():
            _clean_array(path, target / path.name, is_kept, lengths)
        else:
            link(path, target / path.name)


def _clean_array(source: Path, target: Path, is_kept: np.ndarray, lengths: np.ndarray) -> None:
    """Copy the stretches between erased customers."""
    old = np.load(source, mmap_mode="r")
    shape = (int(lengths[is_kept].sum()),)
    new = open_memmap(target, mode="w+", dtype=old.dtype, shape=shape)  # type: ignore[no-untyped-call]
    written = 0
    for start, end in _stretches(is_kept, lengths):
        new[written : written + end - start] = old[start:end]
        written += end - start
    new.flush()


def _stretches(is_kept: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and end of the events of customers that are kept and follow each other."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_kept.astype(np.int8), [0]])))
    for first, last in edges.reshape(-1, 2):
        yield int(ends[first]), int(ends[last])
