"""The categories by which customers are told apart: those that most was spent on before the first training cutoff."""

from collections.abc import Sequence

import polars as pl

NUM_CATEGORIES = 8
NO_CATEGORIES = pl.DataFrame(
    schema={"item_id": pl.String, "category": pl.String, "place": pl.Int32}
)


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
    """item_id, category in lower case and place among `names`, or null, of the items that have a category."""
    places = pl.DataFrame(
        {"category": names, "place": range(len(names))}, schema_overrides=NO_CATEGORIES.schema
    )
    return _lower_case(items).drop_nulls().join(places, on="category", how="left")


def _lower_case(items: pl.DataFrame) -> pl.DataFrame:
    return items.select("item_id", pl.col("category").cast(pl.String).str.to_lowercase())
