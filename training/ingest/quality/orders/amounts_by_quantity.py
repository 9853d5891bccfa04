"""How amounts grow with quantities: not at all where they are prices of one piece, by the square where taken twice."""

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.orders import AmountsByQuantity

MAX_EVENTS = 20_000  # of a shard that are looked at


def amounts_by_quantity(events: pl.DataFrame) -> AmountsByQuantity:
    """Of one shard: squares of logarithms around their item's mean, for items sold in several quantities."""
    quantity, amount = pl.col("quantity"), pl.col("amount")
    is_whole = is_purchase() & (quantity > 0) & (amount > 0) & pl.col("item_id").is_not_null()
    lines = events.head(MAX_EVENTS).filter(is_whole)
    logs = {"quantity": quantity.log(), "amount": amount.log()}
    logs["beyond_square"] = logs["amount"] - 2 * logs["quantity"]
    squares = [(log.var(ddof=0) * pl.len()).alias(name) for name, log in logs.items()]
    by_item = lines.group_by("item_id", maintain_order=True).agg(pl.len().alias("lines"), *squares)
    several = by_item.filter(pl.col("quantity") > 0)
    return AmountsByQuantity(**several.drop("item_id").sum().fill_null(0).row(0, named=True))
