"""Orders of several items whose lines all have one amount: it may be the order's total, counted once a line."""

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.quality import RepeatedAmounts

MIN_SHARE = 0.9  # of a shard's orders of several lines, below which their items are not looked at


def repeated_amounts(events: pl.DataFrame, orders: pl.DataFrame) -> RepeatedAmounts:
    """What one shard says, by its `given_orders`; of those with more than one item, where lines name items."""
    key = ["customer_id", "order_id"]
    several = orders.filter((pl.col("lines") > 1) & (pl.col("most") > 0))
    same = several.filter(pl.col("least") == pl.col("most"))
    if same.height < MIN_SHARE * several.height or same.is_empty():
        return RepeatedAmounts(of=several.height)
    lines = events.filter(is_purchase()).join(same, on=key, how="semi")
    items = lines.group_by(key).agg(
        pl.col("item_id").n_unique().alias("items"), pl.col("item_id").null_count().alias("unnamed")
    )
    one_item = items.filter((pl.col("items") == 1) & (pl.col("unnamed") == 0))
    repeated = same.join(one_item, on=key, how="anti").sort(key)
    if repeated.is_empty():
        return RepeatedAmounts(of=several.height - one_item.height)
    first = repeated.row(0, named=True)
    return RepeatedAmounts(
        orders=repeated.height,
        of=several.height - one_item.height,
        amounts=repeated["most"].n_unique(),
        example=first["order_id"],
        example_amount=first["most"],
    )
