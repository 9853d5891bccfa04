"""Orders told by several files or sources: corrected, exported again, by lines and by sums, or as payments."""

from collections.abc import Sequence

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.orders import OrdersOfFiles
from training.results.quality import Matches

SAME_MONEY = 0.005  # of the larger sum, by which those of two files may differ and be one
MIN_DIFFERENT = 0.1  # amounts for each order: those of one price are alike by chance


def orders_of_files(
    events: pl.DataFrame, orders: pl.DataFrame, file: str, names: Sequence[str]
) -> OrdersOfFiles:
    """What one shard says, by its `given_orders`; the column `file` has the numbers of the files `names`.

    Lines of one order that several files share out, each with items of its own, are no order told
    twice: an item must stand in two files, or both come to the same money.
    """
    key = ["customer_id", "order_id"]
    shared = orders.filter(pl.col("first_file") != pl.col("last_file")).sort(key)
    if shared.is_empty():
        return OrdersOfFiles(of=orders.height)
    lines = events.filter(is_purchase()).join(shared, on=key, how="semi")
    same_money = _of_same_money(lines, key, file)
    twice = lines.group_by(*key, "item_id").agg(pl.col(file).n_unique().alias("files"))
    again = twice.filter(pl.col("files") > 1).select(key)
    told = pl.concat([same_money, again]).unique().sort(key)
    if told.is_empty():
        return OrdersOfFiles(of=orders.height)
    numbers = shared.join(told.head(1), on=key, how="semi").row(0, named=True)
    return OrdersOfFiles(
        orders=told.height,
        of=orders.height,
        of_same_money=same_money.height,
        example=numbers["order_id"],
        files=(names[numbers["first_file"]], names[numbers["last_file"]]),
    )


def _of_same_money(lines: pl.DataFrame, key: list[str], file: str) -> pl.DataFrame:
    """The keys of the orders that come to the same in each file."""
    sums = lines.group_by(*key, file).agg(pl.col("amount").sum())
    amount = pl.col("amount")
    by_order = sums.group_by(key).agg(amount.min().alias("least"), amount.max().alias("most"))
    difference = pl.col("most") - pl.col("least")
    is_same = (pl.col("most") > 0) & (difference <= SAME_MONEY * pl.col("most"))
    return by_order.filter(is_same).select(key)


def orders_of_sources(
    events: pl.DataFrame, file: str, sources: Sequence[int]
) -> dict[int, Matches]:
    """Of the orders of each later source, those for which another has one of this customer, month and money.

    `sources` are those of the files by number. Orders of one number are left to `orders_of_files`.
    """
    at = pl.col("occurred_at")
    order = pl.coalesce("order_id", at.dt.date().cast(pl.String))
    source = pl.col(file).replace_strict(range(len(sources)), sources, return_dtype=pl.UInt16)
    purchases = events.filter(is_purchase())
    if len({sources[number] for number in purchases[file].unique()}) < 2:
        return {}
    sold = purchases.group_by(
        "customer_id",
        order.alias("order"),
        source.alias("source"),
        pl.col("order_id").is_null().alias("is_day"),
    )
    orders = sold.agg(pl.col("amount").sum().round(2), at.min().dt.truncate("1mo").alias("month"))
    is_of_one = pl.struct("customer_id", "order").is_unique() | pl.col("is_day")
    orders = orders.filter((pl.col("amount") > 0) & is_of_one)
    key = ["customer_id", "month", "amount"]
    counts = orders.group_by(*key, "source").len()
    earlier = orders.clear().group_by(key).len()
    found = {}
    for number in sorted(counts["source"].unique()):
        own = counts.filter(pl.col("source") == number).drop("source")
        both = own.join(earlier, on=key, suffix="_earlier")
        matched = both.select(pl.min_horizontal("len", "len_earlier").sum()).item()
        if both["amount"].n_unique() < MIN_DIFFERENT * matched:
            matched = 0
        found[number] = Matches(rows=own["len"].sum(), matched=matched)
        earlier = pl.concat([earlier, own]).group_by(key).agg(pl.col("len").sum())
    return found
