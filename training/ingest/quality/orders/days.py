"""Each order on each day: all that counting customers' orders needs, in a fraction of the rows."""

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.orders import LongOrders
from training.results.quality import Matches

LONG_ORDER_DAYS = 60


def order_days(events: pl.DataFrame, file: str | None = None) -> pl.DataFrame:
    """Of purchases customer_id, order (as `order_key` has it), day (UTC), order_id, lines, amount, and more.

    `paid` counts the lines with an amount; `least` and `most` are those of the lines; `first_file`
    and `last_file` numbers of files, where the column `file` has them.
    """
    day = pl.col("occurred_at").dt.date().alias("day")
    amount = pl.col("amount")
    columns = [
        pl.len().alias("lines"),
        amount.count().alias("paid"),
        amount.sum(),
        amount.min().alias("least"),
        amount.max().alias("most"),
    ]
    if file is not None:
        columns += [pl.col(file).min().alias("first_file"), pl.col(file).max().alias("last_file")]
    bought = events.lazy().filter(is_purchase())
    # The day of the shop tells orders without an id apart; as text only where lines are few.
    shop_day = pl.when(pl.col("order_id").is_null()).then(pl.coalesce("shop_day", day))
    by_order = bought.group_by("customer_id", "order_id", shop_day.alias("shop_day"), day)
    order = pl.coalesce("order_id", pl.col("shop_day").cast(pl.String)).alias("order")
    return by_order.agg(columns).with_columns(order).drop("shop_day").collect()


def orders_of_customers(by_day: pl.DataFrame) -> pl.DataFrame:
    """customer_id, orders, days and lines of all who bought, from `order_days`."""
    return by_day.group_by("customer_id").agg(
        pl.col("order").n_unique().alias("orders"),
        pl.col("day").n_unique().alias("days"),
        pl.col("lines").sum(),
    )


def given_orders(by_day: pl.DataFrame) -> pl.DataFrame:
    """Of orders with an id, from `order_days`: days between the first and the last, lines, and the other columns."""
    days = (pl.col("day").max() - pl.col("day").min()).dt.total_days().alias("days")
    columns = [days, pl.col("lines").sum(), pl.col("least").min(), pl.col("most").max()]
    if "first_file" in by_day.columns:
        columns += [pl.col("first_file").min(), pl.col("last_file").max()]
    return by_day.drop_nulls("order_id").group_by("customer_id", "order_id").agg(columns)


def at_one_time(events: pl.DataFrame, orders: pl.DataFrame) -> Matches:
    """Lines with an order_id of their own, and those at one instant of a customer with another; none by `given_orders`
    that have several lines.
    """
    if orders.is_empty() or orders["lines"].max() != 1:
        return Matches()
    lines = events.filter(is_purchase() & pl.col("order_id").is_not_null())
    together = lines.group_by("customer_id", "occurred_at").len()["len"]
    return Matches(rows=lines.height, matched=together.filter(together > 1).sum())


def long_orders(orders: pl.DataFrame) -> LongOrders:
    """Those of `given_orders` whose days lie further apart than those of an order."""
    long = orders.filter(pl.col("days") > LONG_ORDER_DAYS)["order_id"]
    example = long.min()
    return LongOrders(
        orders=long.len(), of=orders.height, example=None if example is None else str(example)
    )
