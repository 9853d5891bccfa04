"""Rankings that need no model: popular items, and the items a customer buys most often.

Purchases are frames with columns customer_id, order_id (may be null), item_id, occurred_at and, where
there are any, the shop_day of those without order_id; rows
without an item and rows at or after the cutoff are ignored. Orders are told apart by `order_key`.
A popularity is a frame item_id, score, best first. Rankings are frames customer_id, rank (1 =
best), item_id, score, where the score never rises with the rank, for the customers asked for (each
once) and in their order. One shard of customers at a time.
"""

from datetime import datetime, timedelta

import polars as pl

from lifecycle.events.schema import order_key

POPULARITY_WINDOW_DAYS = 91


def before(purchases: pl.DataFrame, cutoff: datetime | pl.Expr) -> pl.DataFrame:
    """The purchases of an item before the cutoff (exclusive, UTC) or that of each row, each with an order_id."""
    in_time = (pl.col("occurred_at") < cutoff) & pl.col("item_id").is_not_null()
    if "shop_day" not in purchases.columns:
        purchases = purchases.with_columns(pl.lit(None, pl.Date).alias("shop_day"))
    order_id = order_key().alias("order_id")
    return purchases.filter(in_time).select("customer_id", order_id, "item_id", "occurred_at")


def item_popularity(
    purchases: pl.DataFrame, *, cutoff: datetime, window_days: int = POPULARITY_WINDOW_DAYS
) -> pl.DataFrame:
    """Items by number of distinct pairs of customer and UTC day in [cutoff - window, cutoff), ties by item_id.

    Items bought only before the window follow with score 0.
    """
    if window_days < 1:
        raise ValueError(f"window_days is {window_days}; a popularity window has at least 1 day")
    day = pl.col("occurred_at").dt.date().alias("day")
    is_in_window = pl.col("occurred_at") >= cutoff - timedelta(days=window_days)
    score = is_in_window.cast(pl.Float64).alias("score")
    days = before(purchases, cutoff).select("customer_id", "item_id", day, score).unique()
    return merge_popularity([days.select("item_id", "score")])


def merge_popularity(shards: list[pl.DataFrame]) -> pl.DataFrame:
    """The popularity over all customers from that of disjoint shards of customers."""
    counts = pl.concat(shards).group_by("item_id").agg(pl.col("score").sum())
    return counts.sort("score", "item_id", descending=[True, False])


def popularity(
    purchases: pl.DataFrame,
    popular: pl.DataFrame,
    customer_ids: pl.Series,
    *,
    cutoff: datetime,
    k: int,
    exclude_seen: bool,
) -> pl.DataFrame:
    """The k best items of a popularity for each customer, without those already bought if `exclude_seen`."""
    seen = before(purchases, cutoff) if exclude_seen else purchases.clear()
    return first_k(popular_unseen(popular, customer_ids, seen, k), customer_ids, k)


def personal_frequency(
    purchases: pl.DataFrame,
    popular: pl.DataFrame,
    customer_ids: pl.Series,
    *,
    cutoff: datetime,
    k: int,
    exclude_seen: bool,
) -> pl.DataFrame:
    """Each customer's items by number of distinct orders (tie: bought last, then item_id), then popular items.

    Own items score their number of orders, popular ones a fraction below 1; with `exclude_seen`
    only these remain.
    """
    own = before(purchases, cutoff)
    fraction = popular.with_columns(pl.col("score") / (pl.col("score").max() + 1))
    padding = popular_unseen(fraction, customer_ids, own, k).with_columns(pl.col("rank") + k)
    if exclude_seen:
        return first_k(padding, customer_ids, k)
    counts = own.group_by("customer_id", "item_id").agg(
        pl.col("order_id").n_unique().cast(pl.Float64).alias("score"),
        pl.col("occurred_at").max().alias("last_at"),
    )
    most_frequent = top_k(counts, k, ["score", "last_at"])
    return first_k(pl.concat([most_frequent, padding]), customer_ids, k)


def popular_unseen(
    popular: pl.DataFrame, customer_ids: pl.Series, seen: pl.DataFrame, k: int
) -> pl.DataFrame:
    """For each customer the k best popular items outside `seen` (customer_id, item_id), as an unsorted ranking."""
    pairs = seen.select("customer_id", "item_id").unique()
    num_seen = pairs.group_by("customer_id").len("num_seen")
    reach = customer_ids.to_frame("customer_id").join(num_seen, on="customer_id", how="left")
    # k items outside the num_seen bought ones always lie among the first k + num_seen.
    end = pl.min_horizontal(pl.col("num_seen").fill_null(0) + k, popular.height)
    ranges = reach.select("customer_id", pl.int_ranges(0, end).alias("position"))
    rows = ranges.explode("position", empty_as_null=False)
    offered = rows.with_columns(
        popular["item_id"].gather(rows["position"]), popular["score"].gather(rows["position"])
    )
    unseen = offered.join(pairs, on=["customer_id", "item_id"], how="anti")
    return top_k(unseen.with_columns(pl.col("position").neg()), k, ["position"])


def top_k(scored: pl.DataFrame, k: int, best_first: list[str]) -> pl.DataFrame:
    """The k rows of each customer with the highest values in `best_first`, ties by item_id, as a ranking."""
    order = ["customer_id", *best_first, "item_id"]
    descending = [False, *(True for _ in best_first), False]
    rank = pl.int_range(1, pl.len() + 1).over("customer_id").alias("rank")
    ranked = scored.sort(order, descending=descending).with_columns(rank)
    return ranked.filter(pl.col("rank") <= k).select("customer_id", "rank", "item_id", "score")


def first_k(ranked: pl.DataFrame, customer_ids: pl.Series, k: int) -> pl.DataFrame:
    """The first k rows of each customer by `rank`, renumbered from 1 and in the order of `customer_ids`."""
    places = customer_ids.to_frame("customer_id").with_row_index("place")
    rank = pl.int_range(1, pl.len() + 1).over("customer_id").alias("rank")
    rows = ranked.join(places, on="customer_id").sort("place", "rank").with_columns(rank)
    return rows.filter(pl.col("rank") <= k).select("customer_id", "rank", "item_id", "score")
