"""What the value arena works on: windows of rows to fit and to predict."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.features.standardisation import Standardisation
from lifecycle.spend.model import Past
from training.prepare.dataset import BACKTEST, SAME_SEASON, read_dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExampleSets:
    """The rows of the examples folder, and what was predicted from."""

    train: pl.DataFrame
    selection: pl.DataFrame
    test: pl.DataFrame
    horizon_days: int
    scale: Standardisation | None = None
    # The same for test cutoffs a horizon and a year earlier, whose outcomes are known at this one.
    backtest: "ExampleSets | None" = None
    same_season: "ExampleSets | None" = None

    @cached_property
    def for_test(self) -> Past:
        """The test customers, by all that was known before the test cutoff."""
        rows = pl.concat([self.train, self.selection])
        return Past(rows, self.test, self.horizon_days, self.scale)

    @cached_property
    def for_selection(self) -> Past:
        """Everybody but the selection customers, at the same time."""
        latest = self.train.filter(pl.col("cutoff") == pl.col("cutoff").max())
        return Past(self.train, latest, self.horizon_days, self.scale)


def read_example_sets(examples: Path, customers: pl.DataFrame | None = None) -> ExampleSets:
    """Train rows, those of the one or two selection windows, test rows, and those of a backtest that has any spend.

    `customers` has customer_id and, as numbers, the attributes that trees read beside the features.
    """
    train = read_rows(examples, "train", customers)
    test = read_rows(examples, "test", customers)
    windows = [part for part in ("selection", "val") if (examples / f"{part}.parquet").exists()]
    selection = pl.concat([read_rows(examples, part, customers) for part in windows])
    dataset = read_dataset(examples)
    backtest = _read_backtest(examples / BACKTEST, customers)
    same_season = _read_backtest(examples / SAME_SEASON, customers)
    scale = dataset.standardisation
    return ExampleSets(train, selection, test, dataset.horizon_days, scale, backtest, same_season)


def _read_backtest(examples: Path, customers: pl.DataFrame | None) -> ExampleSets | None:
    """None where there is none or, with a warning, where it could tell nothing."""
    if not examples.exists():
        return None
    backtest = read_example_sets(examples, customers)
    if target_of(backtest.train).sum() > 0 and target_of(backtest.test).sum() > 0:
        return backtest
    at = backtest.test["cutoff"][0].date()
    logger.warning(
        "no backtest at %s: nobody spent anything in its training rows, or after its cutoff", at
    )
    return None


def read_rows(examples: Path, part: str, customers: pl.DataFrame | None = None) -> pl.DataFrame:
    """The rows of one part of an examples folder, with the attributes that `customers` has."""
    rows = pl.read_parquet(examples / f"{part}.parquet")
    if customers is None:
        return rows
    return rows.join(customers, on="customer_id", how="left", maintain_order="left")


def target_of(rows: pl.DataFrame) -> np.ndarray:
    """What the customers of some rows spent over the horizon, shape (n,)."""
    return rows["target"].to_numpy().astype(float)
