"""Numbers that describe a customer at a cutoff: recency, frequency, value, windows, rhythm, contacts."""

import polars as pl

from lifecycle.events import KINDS, REVENUE_KINDS
from lifecycle.history import KEYS, known_at, orders_at
from lifecycle.value.summary import summarise

WINDOWS_DAYS = (7, 14, 28, 56, 91, 182, 364)
BUCKET_DAYS = 28  # spend of each of the last NUM_BUCKETS four-week periods
NUM_BUCKETS = 6
NUM_LAST_ORDERS = 5
CONTACT_KINDS = tuple(kind for kind in KINDS if kind not in REVENUE_KINDS)
CONTACT_WINDOW_DAYS = 91
MARKETING_KINDS = ("campaign", "redemption", "view", "cart", "search")
COUNTS = ("orders_", "spend_", "num_", "total_", *(f"{kind}_" for kind in CONTACT_KINDS))  # 0 where nothing happened
BTYD_SUMMARY = ("btyd_frequency", "btyd_recency", "btyd_age")  # repeat order days, days, days
FEATURES = (
    *BTYD_SUMMARY, "spend_last_horizon", "orders_last_horizon",
    "recency_days", "tenure_days", "num_orders", "num_order_days", "total_spend", "total_discount",
    "mean_order_value", "std_order_value", "max_order_value", "mean_lines", "mean_gap_days", "std_gap_days",
    "recency_over_gap", "num_distinct_items",
    "total_refunded", "total_goods_cost", "total_service_cost", "total_marketing_cost",
    *(f"orders_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_bucket_{number}" for number in range(NUM_BUCKETS)),
    *(f"last_order_{number}_value" for number in range(NUM_LAST_ORDERS)),
    *(f"{kind}_{CONTACT_WINDOW_DAYS}d" for kind in CONTACT_KINDS),
)  # fmt: skip


def value_features(events: pl.DataFrame, cutoffs: pl.DataFrame, horizon_days: int) -> pl.DataFrame:
    """One row per (customer_id, cutoff) of `cutoffs`, in its order, with the columns FEATURES as float64.

    Amounts in the shop's currency, times in days. Undefined values (a gap with one order) are null.
    """
    known = orders_at(events, cutoffs)
    parts = [
        known.group_by(KEYS).agg(_order_features(horizon_days)),
        _btyd_summary(known),
        _gap_features(known),
        _item_features(events, cutoffs),
        _contact_features(events, cutoffs),
        _cost_features(events, cutoffs),
    ]
    result = cutoffs.select(KEYS)
    for part in parts:
        result = result.join(part, on=KEYS, how="left", maintain_order="left")
    counts = [name for name in FEATURES if name.startswith(COUNTS) and name in result.columns]
    result = result.with_columns(
        pl.col(counts).fill_null(0),
        (pl.col("recency_days") / pl.col("mean_gap_days").clip(0.5)).alias("recency_over_gap"),
    )
    return result.select(*KEYS, *(pl.col(name).cast(pl.Float64) for name in FEATURES))


def _order_features(horizon_days: int) -> list[pl.Expr]:
    age, amount = pl.col("age_days"), pl.col("amount")
    newest_first = amount.reverse()
    return [
        age.min().alias("recency_days"),
        age.max().alias("tenure_days"),
        pl.len().alias("num_orders"),
        pl.col("occurred_at").dt.date().n_unique().alias("num_order_days"),
        amount.sum().alias("total_spend"),
        pl.col("discount").sum().alias("total_discount"),
        amount.mean().alias("mean_order_value"),
        amount.std().alias("std_order_value"),
        amount.max().alias("max_order_value"),
        pl.col("num_lines").mean().alias("mean_lines"),
        (age <= horizon_days).sum().alias("orders_last_horizon"),
        amount.filter(age <= horizon_days).sum().alias("spend_last_horizon"),
        *((age <= days).sum().alias(f"orders_{days}d") for days in WINDOWS_DAYS),
        *(amount.filter(age <= days).sum().alias(f"spend_{days}d") for days in WINDOWS_DAYS),
        *(
            amount.filter((age > BUCKET_DAYS * k) & (age <= BUCKET_DAYS * (k + 1))).sum().alias(f"spend_bucket_{k}")
            for k in range(NUM_BUCKETS)
        ),
        *(newest_first.get(k, null_on_oob=True).alias(f"last_order_{k}_value") for k in range(NUM_LAST_ORDERS)),
    ]


def _gap_features(known: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation of the days between a customer's successive order days."""
    days = known.select(*KEYS, pl.col("occurred_at").dt.date().alias("day")).unique().sort(*KEYS, "day")
    gaps = days.with_columns(pl.col("day").diff().over(KEYS).dt.total_days().alias("gap"))
    return gaps.group_by(KEYS).agg(
        pl.col("gap").mean().alias("mean_gap_days"), pl.col("gap").std().alias("std_gap_days")
    )


def _item_features(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """How many different items the customer had bought; the first purchase of each decides."""
    bought = events.filter(pl.col("kind").is_in(REVENUE_KINDS) & pl.col("item_id").is_not_null())
    first = bought.group_by("customer_id", "item_id").agg(pl.col("occurred_at").min())
    return known_at(first, cutoffs).group_by(KEYS).agg(pl.len().alias("num_distinct_items"))


def _contact_features(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Events other than purchases in the last CONTACT_WINDOW_DAYS, by kind."""
    known = known_at(events.filter(pl.col("kind").is_in(CONTACT_KINDS)), cutoffs)
    recent, kind = pl.col("age_days") <= CONTACT_WINDOW_DAYS, pl.col("kind")
    return known.group_by(KEYS).agg(
        *((recent & (kind == name)).sum().alias(f"{name}_{CONTACT_WINDOW_DAYS}d") for name in CONTACT_KINDS)
    )


def _cost_features(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    costly = events.filter((pl.col("kind") == "refund") | (pl.col("cost") > 0))
    return known_at(costly, cutoffs).group_by(KEYS).agg(cost_sums())


def cost_sums() -> list[pl.Expr]:
    """Money that went out in a group of events, positive: refunds, goods (cost of what was bought), service, marketing.

    Service is all that is not one of the others.
    """
    is_goods, is_marketing = pl.col("kind").is_in(REVENUE_KINDS), pl.col("kind").is_in(MARKETING_KINDS)
    return [
        (-pl.col("amount").filter(pl.col("kind") == "refund").sum()).alias("total_refunded"),
        pl.col("cost").filter(is_goods).sum().alias("total_goods_cost"),
        pl.col("cost").filter(~is_goods & ~is_marketing).sum().alias("total_service_cost"),
        pl.col("cost").filter(is_marketing).sum().alias("total_marketing_cost"),
    ]


def _btyd_summary(known: pl.DataFrame) -> pl.DataFrame:
    summary = summarise(known)
    names = dict(zip(("frequency", "recency", "age"), BTYD_SUMMARY, strict=True))
    return summary.rename(names).select(*KEYS, *BTYD_SUMMARY)
