"""The cutoffs of examples that are split by time, from the recipe and from when the shop sold."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import shard_paths
from training.prepare.recipe import PrepareConfig, cutoffs_for, earlier_selection


@dataclass(frozen=True)
class Cutoffs:
    """UTC midnights that rows are predicted from."""

    first_purchase: date
    train: tuple[date, ...]  # oldest first; the last one is that of the validation rows too
    test: date
    earlier: date | None  # of selection rows before the validation rows

    @property
    def all(self) -> list[date]:
        """All of them, oldest first."""
        return sorted({*self.train, self.test, self.earlier or self.test})


def read_cutoffs(config: PrepareConfig) -> Cutoffs:
    """Raises ValueError where the data are too short for the recipe."""
    first, last = _purchase_days(config.data)
    test, train = cutoffs_for(config, first, last)
    earlier = earlier_selection(config, first, train[-1])
    return Cutoffs(first_purchase=first, train=tuple(train), test=test, earlier=earlier)


def _purchase_days(data: Path) -> tuple[date, date]:
    """First and last UTC day with a purchase."""
    at = pl.col("occurred_at")
    is_paid = is_purchase() & pl.col("amount").is_not_null()
    spans = [
        pl.scan_parquet(path)
        .filter(is_paid)
        .select(first=at.min().dt.date(), last=at.max().dt.date())
        .collect()
        for path in shard_paths(data)
    ]
    first, last = pl.concat(spans).select(pl.col("first").min(), pl.col("last").max()).row(0)
    if first is None:
        raise ValueError(
            f"{data} has no purchases or renewals with an amount: there is no value to learn from; "
            "where a log has none, `amount: 1` among the columns of its source counts orders "
            "(lines, where an order has several)"
        )
    return first, last
