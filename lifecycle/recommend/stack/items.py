"""What the stack of rankers knows of each item of the catalogue."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.repurchase import fit_repurchase

POPULARITY_DAYS = (14, 28, 91)
PRICE_DAYS = (7, 14, 28)  # whose price is compared with the usual one
USUAL_DAYS = 365
PRICE_NAMES = ("log_price", *(f"price_{days}" for days in PRICE_DAYS))
FACT_NAMES = (
    *(f"popularity_{days}" for days in POPULARITY_DAYS),
    "buyers",
    "buyers_again",
    "log_gap",
    "variance",
    *PRICE_NAMES,
)


@dataclass(frozen=True)
class ItemFacts:
    """By position in the catalogue."""

    category: np.ndarray  # (items,) int64, a number for each; items without one share the last
    facts: np.ndarray  # (items, FACT_NAMES) float64

    @property
    def log_gap(self) -> np.ndarray:
        """The mean logarithm of the days until a customer buys the item again."""
        return self.facts[:, FACT_NAMES.index("log_gap")]

    @property
    def variance(self) -> np.ndarray:
        """That of this logarithm."""
        return self.facts[:, FACT_NAMES.index("variance")]


def fit_item_facts(histories: Histories, category: np.ndarray, prices: np.ndarray) -> ItemFacts:
    """Popularity in orders per 1,000 customers, the share who buy again, usual intervals, and `item_prices`."""
    per_customer = 1000 / max(histories.num_customers, 1)
    counts = [
        np.bincount(histories.item[histories.age_days <= days], minlength=histories.num_items)
        for days in POPULARITY_DAYS
    ]
    pairs = histories.pairs
    num_lines = np.diff(pairs.start, append=len(pairs.lines))
    buyers = np.bincount(pairs.item, minlength=histories.num_items)
    again = np.bincount(pairs.item[num_lines > 1], minlength=histories.num_items)
    due = fit_repurchase(histories, half_life_days=1.0, bump=0.0, repeat_power=0.0)
    columns = [*counts, buyers]
    scaled = [column * per_customer for column in columns]
    facts = [*scaled, again / np.maximum(buyers, 1), due.log_gap, due.variance]
    return ItemFacts(category, np.concatenate([np.stack(facts, axis=1), prices], axis=1))


def item_prices(
    purchases: Iterable[pl.DataFrame], item_ids: pl.Series, cutoff: datetime
) -> np.ndarray:
    """The logarithm of an item's usual price, and what a piece has cost lately of that: (items, PRICE_NAMES).

    Money over pieces of what was sold before the cutoff, of shards with `amount` and `quantity`; a
    line without a quantity is of one piece. NaN where nothing was sold.
    """
    pieces = pl.col("quantity").fill_null(1.0)
    age = (pl.lit(cutoff) - pl.col("occurred_at")).alias("age")
    sums = [
        pl.col(name).filter(pl.col("age") <= timedelta(days=days)).sum().alias(f"{name}_{days}")
        for days in (USUAL_DAYS, *PRICE_DAYS)
        for name in ("amount", "pieces")
    ]
    sold = [
        shard.filter(pl.col("occurred_at") < cutoff, pl.col("amount") > 0, pieces > 0)
        .select("item_id", "amount", pieces.alias("pieces"), age)
        .group_by("item_id")
        .agg(sums)
        for shard in purchases
    ]
    total = pl.concat(sold).group_by("item_id").sum()
    placed = item_ids.to_frame("item_id").join(
        total, on="item_id", how="left", maintain_order="left"
    )
    price = {
        days: placed.select(pl.col(f"amount_{days}") / pl.col(f"pieces_{days}")).to_series()
        for days in (USUAL_DAYS, *PRICE_DAYS)
    }
    usual = price[USUAL_DAYS]
    columns = [usual.log(), *(price[days] / usual for days in PRICE_DAYS)]
    return np.stack([column.to_numpy().astype(np.float64) for column in columns], axis=1)


def category_codes(items: pl.DataFrame, item_ids: pl.Series) -> np.ndarray:
    """A number for the category of each item of the sorted catalogue."""
    named = items.select("item_id", "category").unique("item_id", keep="first")
    placed = item_ids.to_frame("item_id").join(
        named, on="item_id", how="left", maintain_order="left"
    )
    code = placed["category"].cast(pl.String).rank("dense").cast(pl.Int64) - 1
    codes: np.ndarray = code.fill_null(code.drop_nulls().n_unique()).to_numpy()
    return codes
