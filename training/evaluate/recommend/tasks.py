"""What the rankers are asked: the next basket after a cutoff, or the next item of a leave-one-out split."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from lifecycle.events.schema import is_purchase, order_key
from lifecycle.events.shards import read_shard, shard_paths
from training.evaluate.inputs import Inputs

COLUMNS = ["customer_id", "occurred_at", "kind", "order_id", "item_id", "shop_day"]
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)  # the cutoff of a task before which nobody had bought
NEXT_BASKET = "next_basket"
NEXT_ITEM = "next_item"
# Each window is EARLIER_DAYS long and begins EARLIER_STEP_DAYS before the one after it.
EARLIER_WINDOWS = 5
EARLIER_DAYS = 28
EARLIER_STEP_DAYS = 14


@dataclass(frozen=True)
class Basket:
    """What one customer bought next, and what is known of them."""

    truth: set[str]
    bought_before: set[str]
    num_orders: int


@dataclass(frozen=True)
class RankingTask:
    """What each customer bought next, and the purchases that rankers may know: all before the cutoff."""

    name: str
    data: Path
    cutoff: datetime
    baskets: dict[str, Basket]
    # By customer_id a position: from there on a customer's purchases are unknown; at 0 or below, all of them.
    held_out: pl.DataFrame | None = None
    is_final: bool = True  # or what models are chosen by, which lies before it

    def shards(self, *more: str) -> Iterable[pl.DataFrame]:
        """Purchases of items, shard by shard, with more columns where they are asked for."""
        for purchases in purchase_shards(self.data, *more):
            yield purchases if self.held_out is None else split_at(purchases, self.held_out)[0]


def final_task(inputs: Inputs) -> RankingTask:
    """The task that rankers are judged on."""
    if inputs.is_leave_one_out:
        return next_item_task(inputs.config.data, inputs.config.examples / "test.parquet")
    return next_basket_task(inputs.config.data, inputs.test_cutoff)


def selection_task(inputs: Inputs) -> RankingTask:
    """The earlier task of the same kind, by which the recommender is chosen."""
    if inputs.is_leave_one_out:
        # Not of val.parquet: who bought twice has no row there, and the test purchase would be known.
        earlier = next_item_task(
            inputs.config.data, inputs.config.examples / "test.parquet", back=1
        )
    else:
        earlier = next_basket_task(
            inputs.config.data, inputs.selection_cutoff, until=inputs.test_cutoff
        )
    return replace(earlier, is_final=False)


def next_basket_task(data: Path, cutoff: datetime, *, until: datetime | None = None) -> RankingTask:
    """The first basket at or after a cutoff, and before `until`."""
    return RankingTask(
        NEXT_BASKET, data, cutoff, next_baskets(purchase_shards(data), cutoff, until=until)
    )


def next_item_task(data: Path, rows: Path, *, back: int = 0) -> RankingTask:
    """The item at each example's position among the customer's purchases, or `back` before it, from all before that."""
    held_out = pl.read_parquet(rows, columns=["customer_id", "position"])
    return _next_item_of(data, held_out.with_columns(pl.col("position") - back))


def _next_item_of(data: Path, held_out: pl.DataFrame) -> RankingTask:
    baskets: dict[str, Basket] = {}
    latest = [pl.DataFrame({"occurred_at": [BEGINNING]}).cast(pl.Datetime("us", "UTC"))]
    for purchases in purchase_shards(data):
        before, truth = split_at(purchases, held_out)
        for customer, item, bought, orders in truth.join(
            _history(before), on="customer_id"
        ).iter_rows():
            baskets[customer] = Basket({item}, set(bought), orders)
        latest.append(before.select(pl.col("occurred_at").max()))
    end = pl.concat(latest).to_series().max()
    assert isinstance(end, datetime)
    return RankingTask(NEXT_ITEM, data, end + timedelta(microseconds=1), baskets, held_out)


def earlier_tasks(task: RankingTask) -> list[RankingTask]:
    """Tasks of the same kind whose answers lie before those of a task: of windows of 28 days, or one item earlier.

    Windows before the shop's first purchase ask nobody.
    """
    if task.held_out is not None:
        return [_next_item_of(task.data, task.held_out.with_columns(pl.col("position") - 1))]
    length, step = timedelta(days=EARLIER_DAYS), timedelta(days=EARLIER_STEP_DAYS)
    ends = [task.cutoff - back * step for back in range(EARLIER_WINDOWS)]
    return [next_basket_task(task.data, end - length, until=end) for end in ends]


def purchase_shards(data: Path, *more: str) -> Iterable[pl.DataFrame]:
    """Purchases of items, shard by shard, each customer's in the order of time: COLUMNS and more."""
    for path in shard_paths(data):
        yield read_shard(path, [*COLUMNS, *more]).filter(
            is_purchase() & pl.col("item_id").is_not_null()
        )


def split_at(purchases: pl.DataFrame, held_out: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The purchases before each customer's held-out position, and customer_id, item_id at it.

    All purchases of customers without one come before.
    """
    position = pl.int_range(pl.len()).over("customer_id").alias("at")
    numbered = purchases.with_columns(position).join(
        held_out, on="customer_id", how="left", maintain_order="left"
    )
    before = numbered.filter(pl.col("position").is_null() | (pl.col("at") < pl.col("position")))
    truth = numbered.filter(pl.col("at") == pl.col("position")).select("customer_id", "item_id")
    return before.drop("at", "position"), truth


def next_baskets(
    shards: Iterable[pl.DataFrame], cutoff: datetime, *, until: datetime | None = None
) -> dict[str, Basket]:
    """The first basket in [cutoff, until) of every customer with an earlier purchase; truth = its distinct items."""
    baskets: dict[str, Basket] = {}
    for purchases in shards:
        truth = _first_baskets(purchases, cutoff, until)
        history = _history(purchases.filter(pl.col("occurred_at") < cutoff))
        for customer, items, bought, orders in truth.join(history, on="customer_id").iter_rows():
            baskets[customer] = Basket(set(items), set(bought), orders)
    return baskets


def newcomer_baskets(
    shards: Iterable[pl.DataFrame], cutoff: datetime, *, until: datetime
) -> dict[str, Basket]:
    """The first basket in [cutoff, until) of every customer without an earlier purchase."""
    baskets: dict[str, Basket] = {}
    for purchases in shards:
        known = purchases.filter(pl.col("occurred_at") < cutoff)
        truth = _first_baskets(purchases.join(known, on="customer_id", how="anti"), cutoff, until)
        baskets |= {customer: Basket(set(items), set(), 0) for customer, items in truth.iter_rows()}
    return baskets


def _first_baskets(
    purchases: pl.DataFrame, cutoff: datetime, until: datetime | None
) -> pl.DataFrame:
    """customer_id and item_id, the distinct items of the first order in [cutoff, until)."""
    after = purchases.filter(pl.col("occurred_at") >= cutoff).with_columns(order=order_key())
    if until is not None:
        after = after.filter(pl.col("occurred_at") < until)
    after = after.sort("customer_id", "occurred_at", "order")
    first = after.group_by("customer_id", maintain_order=True).agg(pl.col("order").first())
    baskets = after.join(first, on=["customer_id", "order"]).group_by("customer_id")
    return baskets.agg(pl.col("item_id").unique())


def _history(purchases: pl.DataFrame) -> pl.DataFrame:
    """customer_id, bought (distinct items) and orders (their number) of each customer."""
    bought = pl.col("item_id").unique().alias("bought")
    orders = order_key().n_unique().alias("orders")
    return purchases.group_by("customer_id").agg(bought, orders)
