"""The examples folder: which parts it has, and what dataset.json says of it."""

from datetime import date
from pathlib import Path
from typing import Literal

from lifecycle.erasure.current import require_as_current, require_current
from lifecycle.events.shards import read_data_manifest
from lifecycle.features.standardisation import Standardisation
from lifecycle.folders import Manifest, Stored, read_manifest, read_stored
from training.prepare.splits import LEAVE_ONE_OUT

EXAMPLES_KIND = "examples"
DATASET_FILE = "dataset.json"
BACKTEST = "backtest"  # examples of a test cutoff one horizon earlier
SAME_SEASON = "same_season"  # and of one a year earlier
LATEST = "latest"


class Selection(Stored):
    """The rows that models are chosen on."""

    windows: tuple[str, ...]  # parts of the examples
    cutoff: date
    earlier_cutoff: date | None
    why: str


class Backtest(Stored):
    """Examples of an earlier test cutoff, which lie in BACKTEST or SAME_SEASON."""

    test_cutoff: date
    horizon_days: int


class NoBacktest(Stored):
    """Why there are none."""

    test_cutoff: None = None
    horizon_days: None = None
    why: str


class Dataset(Stored):
    """dataset.json of examples split by time."""

    test_cutoff: date
    horizon_days: int
    train_cutoffs: tuple[date, ...]  # oldest first
    selection: Selection
    features: tuple[str, ...]
    categories: tuple[str, ...]  # the leading ones, whose shares are among the features
    standardisation: Standardisation
    prompt_version: str
    sequence_version: str
    num_rows: dict[str, int]  # by part; train_customers: whom the sequence encoder learns from
    backtest: Backtest | NoBacktest
    same_season: Backtest | NoBacktest = NoBacktest(why="examples from before have none")
    split: Literal["time"] = "time"
    data_identity: str
    seed: int
    money_unit: float = 1.0  # in which encoders see money; examples from before have none


class LeaveOneOutDataset(Stored):
    """dataset.json of examples that ask for each customer's next item, and for no values."""

    num_rows: dict[str, int]  # by part
    split: Literal["leave_one_out"] = LEAVE_ONE_OUT
    data_identity: str
    seed: int


class _Split(Stored):
    split: str


def examples_identity(examples: Path) -> str:
    """What a complete examples folder is known by."""
    return read_manifest(examples, EXAMPLES_KIND, Manifest).identity


def require_prepared_from(
    examples: Path, dataset: Dataset | LeaveOneOutDataset, data: Path
) -> None:
    """ValueError where an examples folder was prepared from other data than those of an ingest folder.

    Or where one of the two may still hold an erased customer.
    """
    manifest = read_data_manifest(data)
    if dataset.data_identity != manifest.identity:
        raise ValueError(
            f"examples {examples} were prepared from other data than {data}; prepare again"
        )
    require_current(data, manifest.erasure)
    require_as_current(examples, EXAMPLES_KIND, manifest.erasure)


def read_any_dataset(examples: Path) -> Dataset | LeaveOneOutDataset:
    """dataset.json of a complete examples folder."""
    examples_identity(examples)
    path = examples / DATASET_FILE
    if read_stored(path, _Split).split == LEAVE_ONE_OUT:
        return read_stored(path, LeaveOneOutDataset)
    return read_stored(path, Dataset)


def read_dataset(examples: Path) -> Dataset:
    """dataset.json of examples split by time; ValueError for others."""
    dataset = read_any_dataset(examples)
    if isinstance(dataset, LeaveOneOutDataset):
        raise ValueError(
            f"task value needs examples of split time; {examples} has split {LEAVE_ONE_OUT}"
        )
    return dataset
