"""Orders told by several files: corrected, exported again, or by lines and once more by sums."""

from collections.abc import Sequence

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.quality import OrdersOfFiles

SAME_MONEY = 0.005  # of the larger sum, by which those of two files may differ and be one


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
