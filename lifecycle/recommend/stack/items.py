"""What the stack of rankers knows of each item of the catalogue."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.repurchase import fit_repurchase

POPULARITY_DAYS = (14, 28, 91)
FACT_NAMES = (
    *(f"popularity_{days}" for days in POPULARITY_DAYS),
    "buyers",
    "buyers_again",
    "log_gap",
    "variance",
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


def fit_item_facts(histories: Histories, category: np.ndarray) -> ItemFacts:
    """Popularity in orders per 1,000 customers, the share who buy again, and usual intervals."""
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
    return ItemFacts(category, np.stack(facts, axis=1))


def category_codes(items: pl.DataFrame, item_ids: pl.Series) -> np.ndarray:
    """A number for the category of each item of the sorted catalogue."""
    named = items.select("item_id", "category").unique("item_id", keep="first")
    placed = item_ids.to_frame("item_id").join(
        named, on="item_id", how="left", maintain_order="left"
    )
    code = placed["category"].cast(pl.String).rank("dense").cast(pl.Int64) - 1
    codes: np.ndarray = code.fill_null(code.drop_nulls().n_unique()).to_numpy()
    return codes
