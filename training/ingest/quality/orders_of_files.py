"""Orders whose purchases stand in several files: corrected, exported again, or told by lines and once more by sums."""

from collections.abc import Sequence

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.quality import OrdersOfFiles

SAME_MONEY = 0.005  # of the larger sum, by which those of two files may differ and be one


def orders_of_files(
    events: pl.DataFrame, orders: pl.DataFrame, file: str, names: Sequence[str]
) -> OrdersOfFiles:
    """What one shard says, by its `given_orders`; the column `file` has the numbers of the files `names`."""
    key = ["customer_id", "order_id"]
    shared = orders.filter(pl.col("first_file") != pl.col("last_file")).sort(key)
    if shared.is_empty():
        return OrdersOfFiles(of=orders.height)
    lines = events.filter(is_purchase()).join(shared, on=key, how="semi")
    sums = lines.group_by(*key, file).agg(pl.col("amount").sum())
    amount = pl.col("amount")
    by_order = sums.group_by(key).agg(amount.min().alias("least"), amount.max().alias("most"))
    is_same = (pl.col("most") > 0) & (
        pl.col("most") - pl.col("least") <= SAME_MONEY * pl.col("most")
    )
    numbers = shared.row(0, named=True)
    return OrdersOfFiles(
        orders=shared.height,
        of=orders.height,
        of_same_money=by_order.filter(is_same).height,
        example=numbers["order_id"],
        files=(names[numbers["first_file"]], names[numbers["last_file"]]),
    )
