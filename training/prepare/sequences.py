"""All customers' histories as arrays on disk, which training workers and trials map into memory together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.lib.format import open_memmap

from lifecycle.events.schema import ENCODED_KINDS, REVENUE_KINDS
from lifecycle.events.shards import read_data_manifest, read_shard, shard_paths
from lifecycle.features.sequence import MICROSECONDS_PER_DAY, Histories, histories
from lifecycle.features.vocabulary import Vocabulary, VocabularyRules, fit_vocabulary
from training.prepare.splits import is_validation_customer

FOLDER = "sequences"
CUSTOMERS_FILE = "customers.parquet"
ARRAYS = {
    "at": np.int64,
    "item": np.int32,
    "category": np.int32,
    "title": np.int32,
    "kind": np.int8,
    "amount": np.float32,
}
REVENUE_NUMBERS = [ENCODED_KINDS.index(kind) for kind in REVENUE_KINDS]


@dataclass(frozen=True)
class Sequences:
    """What `write_sequences` wrote; the arrays of the histories stay on disk until they are read."""

    known: Histories
    first_purchase: np.ndarray  # (n,) microseconds since 1970; the largest integer where none is
    vocabulary: Vocabulary


def write_sequences(
    data: Path,
    items: pl.DataFrame,
    cutoff: datetime,
    rules: VocabularyRules,
    money_unit: float,
    folder: Path,
) -> None:
    """Write the histories of an ingest folder, its vocabulary fitted on what happened before `cutoff`."""
    folder.mkdir()
    vocabulary = fit_vocabulary(_customers_of_items(data, cutoff), items, rules, money_unit)
    vocabulary.save(folder)
    num_events = read_data_manifest(data).num_events
    files = {
        name: open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(num_events,))  # type: ignore[no-untyped-call]
        for name, dtype in ARRAYS.items()
    }
    customers = []
    written = 0
    for part in _shards(data, vocabulary):
        end = written + len(part.at)
        for name, file in files.items():
            file[written:end] = getattr(part, name)
        columns = {
            "customer_id": part.customer_ids,
            "end": part.starts[1:] + written,
            "first_purchase": _first_purchases(part),
        }
        customers.append(pl.DataFrame(columns))
        written = end
    for file in files.values():
        file.flush()
    pl.concat(customers).write_parquet(folder / CUSTOMERS_FILE)


def read_sequences(folder: Path) -> Sequences:
    """The histories that `write_sequences` left in a folder."""
    customers = pl.read_parquet(folder / CUSTOMERS_FILE)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    starts = np.concatenate([[0], customers["end"].to_numpy()])
    known = Histories(customers["customer_id"], starts, **arrays)
    return Sequences(known, customers["first_purchase"].to_numpy(), Vocabulary.load(folder))


def training_customers(stored: Sequences, last_cutoff: date, seed: int) -> np.ndarray:
    """Positions of the customers that are not for validation and had bought before a training cutoff."""
    may_train = ~is_validation_customer(stored.known.customer_ids, seed).to_numpy()
    return np.flatnonzero(may_train & (first_cutoffs(stored) <= day_number(last_cutoff)))


def first_cutoffs(stored: Sequences) -> np.ndarray:
    """The first midnight after each customer's first purchase, shape (n,), in days since 1970."""
    days: np.ndarray = stored.first_purchase // MICROSECONDS_PER_DAY + 1
    return days


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days


def _customers_of_items(data: Path, cutoff: datetime) -> pl.DataFrame:
    """item_id and how many customers had dealt with the item before the cutoff."""
    columns = ["customer_id", "occurred_at", "item_id"]
    before = (pl.col("occurred_at") < cutoff) & pl.col("item_id").is_not_null()
    counts = [
        read_shard(path, columns)
        .filter(before)
        .group_by("item_id")
        .agg(customers=pl.col("customer_id").n_unique())
        for path in shard_paths(data)
    ]
    return pl.concat(counts).group_by("item_id").agg(pl.col("customers").sum())


def _shards(data: Path, vocabulary: Vocabulary) -> Iterator[Histories]:
    for path in shard_paths(data):
        yield histories(read_shard(path), vocabulary)


def _first_purchases(part: Histories) -> np.ndarray:
    is_purchase = np.isin(part.kind, REVENUE_NUMBERS)
    at = np.where(is_purchase, part.at, np.iinfo(np.int64).max)
    return np.minimum.reduceat(at, part.starts[:-1]) if len(at) else np.empty(0, dtype=np.int64)
