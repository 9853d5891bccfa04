"""What is known of the items before a task, by which rankings of them are judged."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from lifecycle.recommend.baselines import before
from lifecycle.recommend.histories import with_positions
from training.evaluate.recommend.tasks import RankingTask


@dataclass(frozen=True)
class Catalogue:
    """Items by their number, which is the position in the sorted ids."""

    item_ids: pl.Series  # (items,) sorted
    num_buyers: np.ndarray  # (items,) customers who bought the item before the cutoff
    num_customers: int  # who bought anything before it
    category: np.ndarray | None  # (items,) int64, -1 where unknown; None: no item has one

    @cached_property
    def numbers(self) -> dict[str, int]:
        """By item_id."""
        return {item: number for number, item in enumerate(self.item_ids)}

    @property
    def buyer_share(self) -> np.ndarray:
        """(items,) of the customers; what nobody bought counts as if one had, so that it has a logarithm."""
        found: np.ndarray = np.maximum(self.num_buyers, 1) / max(self.num_customers, 1)
        return found


def read_catalogue(task: RankingTask, items: pl.DataFrame) -> Catalogue:
    """All items, from the purchases before the cutoff of a task."""
    item_ids = items["item_id"].drop_nulls().unique().sort()
    num_buyers = np.zeros(len(item_ids), dtype=np.int64)
    num_customers = 0
    for shard in task.shards():
        pairs = before(shard, task.cutoff).select("customer_id", "item_id").unique()
        num_customers += pairs["customer_id"].n_unique()
        bought = with_positions(pairs, item_ids)["item"].to_numpy()
        num_buyers += np.bincount(bought, minlength=len(item_ids))
    return Catalogue(item_ids, num_buyers, num_customers, _categories(items, item_ids))


def _categories(items: pl.DataFrame, item_ids: pl.Series) -> np.ndarray | None:
    named = items.select("item_id", pl.col("category").cast(pl.String)).unique(
        "item_id", keep="first"
    )
    if named["category"].null_count() == named.height:
        return None
    placed = item_ids.to_frame("item_id").join(
        named, on="item_id", how="left", maintain_order="left"
    )
    code = placed["category"].rank("dense").cast(pl.Int64) - 1
    codes: np.ndarray = code.fill_null(-1).to_numpy()
    return codes
