"""The categories by which customers are told apart: those that most was spent on before the first training cutoff."""

from collections.abc import Sequence

import numpy as np
import polars as pl

NUM_CATEGORIES = 8
NO_CATEGORIES = pl.DataFrame(schema={"item_id": pl.String, "category": pl.Int64, "place": pl.Int64})


def leading_categories(spend: pl.DataFrame, items: pl.DataFrame) -> tuple[str, ...]:
    """At most NUM_CATEGORIES names, in lower case, from the spend (item_id, amount) on each item of the catalogue."""
    by_category = (
        _lower_case(items)
        .drop_nulls()
        .join(spend, on="item_id")
        .group_by("category")
        .agg(pl.sum("amount"))
    )
    ordered = by_category.sort("amount", "category", descending=[True, False])
    return tuple(ordered.head(NUM_CATEGORIES)["category"])


def placed_items(items: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """By item_id, of the items that have one: the category, numbered, and its place among `names`, or null.

    Categories differ by more than upper and lower case.
    """
    placed = _lower_case(items).drop_nulls().sort("item_id")
    places = {name: place for place, name in enumerate(names)}
    return placed.select(
        "item_id",
        (pl.col("category").rank("dense") - 1).cast(pl.Int64),
        pl.col("category").replace_strict(places, default=-1, return_dtype=pl.Int64).alias("place"),
    )


def categories_of(placed: pl.DataFrame, items: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """By `placed_items`, the category of each item and its place among the leading ones, -1 where there is none."""
    if placed.is_empty():
        nothing = np.full(len(items), -1)
        return nothing, nothing
    ids = placed["item_id"]
    nearest = np.minimum(ids.search_sorted(items).to_numpy(), placed.height - 1)
    is_there = (ids[nearest] == items).to_numpy()
    category, place = (placed[name].to_numpy()[nearest] for name in ("category", "place"))
    return np.where(is_there, category, -1), np.where(is_there, place, -1)


def _lower_case(items: pl.DataFrame) -> pl.DataFrame:
    return items.select("item_id", pl.col("category").cast(pl.String).str.to_lowercase())
