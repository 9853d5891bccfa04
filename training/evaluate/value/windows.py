"""What the value arena works on: windows of rows to fit and to predict."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.features.standardisation import Standardisation
from training.prepare.dataset import BACKTEST, read_dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """Rows of earlier cutoffs to learn from, and all customers at a cutoff as they were known then."""

    train: pl.DataFrame
    known: pl.DataFrame
    horizon_days: int
    scale: Standardisation | None  # of FEATURES on the training rows, for the models that need one


@dataclass(frozen=True)
class ExampleSets:
    """The rows of the examples folder, and what was predicted from."""

    train: pl.DataFrame
    selection: pl.DataFrame
    test: pl.DataFrame
    horizon_days: int
    scale: Standardisation | None = None
    backtest: "ExampleSets | None" = (
        None  # the same for an earlier test cutoff, whose outcomes are known at this one
    )

    @cached_property
    def for_test(self) -> Window:
        """The test customers, by all that was known before the test cutoff."""
        return Window(
            pl.concat([self.train, self.selection]), self.test, self.horizon_days, self.scale
        )

    @cached_property
    def for_selection(self) -> Window:
        """Everybody but the selection customers, at the same time."""
        latest = self.train.filter(pl.col("cutoff") == pl.col("cutoff").max())
        return Window(self.train, latest, self.horizon_days, self.scale)


def read_example_sets(examples: Path, customers: pl.DataFrame | None = None) -> ExampleSets:
    """Train rows, those of the one or two selection windows, test rows, and those of a backtest that has any spend.

    `customers` has customer_id and, as numbers, the attributes that trees read beside the features.
    """

    train, test = read_rows(examples, "train", customers), read_rows(examples, "test", customers)
    windows = [part for part in ("selection", "val") if (examples / f"{part}.parquet").exists()]
    selection = pl.concat([read_rows(examples, part, customers) for part in windows])
    dataset = read_dataset(examples)
    earlier = (
        read_example_sets(examples / BACKTEST, customers)
        if (examples / BACKTEST).exists()
        else None
    )
    if earlier is not None and not all(
        target_of(rows).sum() > 0 for rows in (earlier.train, earlier.test)
    ):
        logger.warning(
            "no backtest: nobody spent anything in its training rows, or after its cutoff"
        )
        earlier = None
    return ExampleSets(
        train, selection, test, dataset.horizon_days, dataset.standardisation, earlier
    )


def read_rows(examples: Path, part: str, customers: pl.DataFrame | None = None) -> pl.DataFrame:
    """The rows of one part of an examples folder, with the attributes that `customers` has."""
    rows = pl.read_parquet(examples / f"{part}.parquet")
    return (
        rows
        if customers is None
        else rows.join(customers, on="customer_id", how="left", maintain_order="left")
    )


def target_of(rows: pl.DataFrame) -> np.ndarray:
    """What the customers of some rows spent over the horizon, shape (n,)."""
    return rows["target"].to_numpy().astype(float)
