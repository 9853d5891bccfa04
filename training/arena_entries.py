"""What the value arena works on: windows of rows to fit and to predict, and what each model makes of them."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.standardisation import Standardisation
from lifecycle.value.intervals import Intervals
from training.prepare import read_dataset


@dataclass(frozen=True)
class Window:
    """Rows of earlier cutoffs to learn from, and all customers at a cutoff as they were known then."""

    train: pl.DataFrame
    known: pl.DataFrame


@dataclass(frozen=True)
class ExampleSets:
    """The rows of the examples folder, and what was predicted from."""

    train: pl.DataFrame
    selection: pl.DataFrame
    test: pl.DataFrame
    horizon_days: int
    scale: Standardisation | None = None  # of FEATURES on the training rows, for the models that need one

    @cached_property
    def train_and_selection(self) -> pl.DataFrame:
        """All rows whose outcome ends before the test cutoff."""
        return pl.concat([self.train, self.selection])

    @cached_property
    def for_test(self) -> Window:
        """The test customers, by all that was known before the test cutoff."""
        return Window(self.train_and_selection, self.test)

    @cached_property
    def for_selection(self) -> Window:
        """Everybody but the selection customers, at the same time."""
        return Window(self.train, self.train.filter(pl.col("cutoff") == pl.col("cutoff").max()))

    @cached_property
    def for_backtest(self) -> Window | None:
        """All customers at the latest training cutoff, by what was known before it; None where that is too little."""
        rows = self.train_and_selection
        latest = rows["cutoff"].max()
        train = rows.filter(pl.col("cutoff") + timedelta(days=self.horizon_days) <= latest)
        if not train["target"].sum() > 0:
            return None
        return Window(train, rows.filter(pl.col("cutoff") == latest))


@dataclass
class Entry:
    """One model in the arena: expected spend of selection and test customers, and its speed."""

    selection: np.ndarray
    test: np.ndarray
    customers_per_second: float
    backtest: np.ndarray | None = None  # None: the model has seen what came after, or there is no backtest
    intervals: Intervals | None = None
    metrics: dict[str, object] = field(default_factory=dict)
    draws: dict[str, np.ndarray] = field(default_factory=dict)  # of each metric on resampled test customers


def read_example_sets(examples: Path, horizon_days: int) -> ExampleSets:
    """Train rows, those of the one or two selection windows, and test rows."""
    train, test = (pl.read_parquet(examples / f"{part}.parquet") for part in ("train", "test"))
    windows = [examples / f"{part}.parquet" for part in ("selection", "val")]
    selection = pl.concat([pl.read_parquet(path) for path in windows if path.exists()])
    scale = Standardisation.read(read_dataset(examples)["standardisation"])
    return ExampleSets(train, selection, test, horizon_days, scale)


def target_of(rows: pl.DataFrame) -> np.ndarray:
    """What the customers of some rows spent over the horizon, shape (n,)."""
    return rows["target"].to_numpy().astype(float)
