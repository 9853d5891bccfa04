"""Orders of several items whose lines all have one amount, discount or cost: it may be the order's own."""

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.orders import RepeatedAmounts
from training.results.quality import Matches

OF_ORDERS = ("discount", "cost")  # that exports repeat on every line of an order, too
ROUNDING = 1e-6  # of a sum
MAX_EVENTS = 20_000  # of a shard, whose discounts and costs are looked at
MIN_SHARE = 0.9  # of a shard's orders of several lines, below which their items are not looked at


def with_sums(by_day: pl.DataFrame) -> dict[str, Matches]:
    """Orders of a day, and customers, of three lines or more, and those with one that sums up all others."""
    amount, most = pl.col("amount"), pl.col("most")
    customers = by_day.group_by("customer_id").agg(pl.col("lines").sum(), amount.sum(), most.max())
    found = {}
    for name, groups in (("orders", by_day), ("customers", customers)):
        several = groups.filter((pl.col("lines") > 2) & (amount > 0))
        is_with_sum = (2 * most - amount).abs() <= ROUNDING * amount
        found[name] = Matches(rows=several.height, matched=several.filter(is_with_sum).height)
    return found


def repeated_values(events: pl.DataFrame) -> dict[str, RepeatedAmounts]:
    """The same of discounts and costs, of lines that have one; without an example."""
    found = {}
    for name in OF_ORDERS:
        value = pl.col(name)
        has_one = is_purchase() & pl.col("order_id").is_not_null() & (value > 0)
        lines = events.head(MAX_EVENTS).filter(has_one)
        if lines.is_empty():
            continue
        orders = lines.group_by("customer_id", "order_id").agg(
            pl.len().alias("lines"), value.min().alias("least"), value.max().alias("most")
        )
        told = repeated_amounts(lines, orders)
        found[name] = told.model_copy(update={"example": None, "example_amount": None})
    return found


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
