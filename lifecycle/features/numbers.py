"""Numbers that describe a customer at a cutoff: recency, frequency, value, rhythm, season, prices, mix, contacts."""

import polars as pl

from lifecycle.events.history import KEYS, is_cancelled, known_at, orders_at, with_cancellations
from lifecycle.events.order_days import summarise
from lifecycle.events.schema import ENCODED_KINDS, EXPOSURE_KINDS, REVENUE_KINDS, is_purchase
from lifecycle.features.categories import NUM_CATEGORIES

WINDOWS_DAYS = (7, 14, 28, 56, 91, 182, 364)
BUCKET_DAYS = 28  # spend of each of the last NUM_BUCKETS four-week periods
NUM_BUCKETS = 6
# Of a unit of currency or quantity, to which lines are rounded before they are summed.
PARTS = 10_000
CATEGORY_SHARE = "category_share_"  # of spend, of each of the leading categories
NUM_LAST_ORDERS = 5
CONTACT_KINDS = tuple(kind for kind in ENCODED_KINDS if kind not in REVENUE_KINDS)
RECENT_DAYS = 91  # of contacts, prices and discounts
YEAR_DAYS = 364  # whole weeks, so that the same days of the week are compared
MARKETING_KINDS = ("campaign", "redemption", "view", "cart", "search", *EXPOSURE_KINDS)
# 0 where nothing happened.
COUNTS = ("orders_", "spend_", "num_", "total_", *(f"{kind}_" for kind in CONTACT_KINDS))
BTYD_SUMMARY = ("btyd_frequency", "btyd_recency", "btyd_age")  # repeat order days, days, days
FEATURES = (
    *BTYD_SUMMARY, "spend_last_horizon", "orders_last_horizon",
    "recency_days", "tenure_days", "known_days", "num_orders", "num_order_days", "total_spend", "total_discount",
    "mean_order_value", "std_order_value", "max_order_value", "mean_lines", "mean_gap_days", "std_gap_days",
    "recency_over_gap", "year_ago_spend", "year_ago_orders", "num_distinct_items", "num_distinct_categories",
    "total_quantity", "mean_unit_price", f"mean_unit_price_{RECENT_DAYS}d",
    "discounted_lines", "discount_rate", f"discount_rate_{RECENT_DAYS}d",
    *(f"{CATEGORY_SHARE}{place}" for place in range(NUM_CATEGORIES)),
    "total_cancelled", "total_refunded", "total_goods_cost", "total_service_cost", "total_marketing_cost",
    *(f"orders_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_bucket_{number}" for number in range(NUM_BUCKETS)),
    *(f"last_order_{number}_value" for number in range(NUM_LAST_ORDERS)),
    *(f"{kind}_{RECENT_DAYS}d" for kind in CONTACT_KINDS),
)  # fmt: skip


def value_features(
    events: pl.DataFrame, cutoffs: pl.DataFrame, horizon_days: int, categories: pl.DataFrame
) -> pl.DataFrame:
    """One row per (customer_id, cutoff) of `cutoffs`, in its order, with the columns FEATURES as float64.

    Amounts in the shop's currency, times in days, shares and rates from 0 to 1. Undefined values (a
    gap with one order) are null. `categories` has the category of items and its place among the
    leading ones, as `placed_items` gives them. Of cancelled lines neither amount nor quantity,
    discount or cost counts, but in total_cancelled and, as it is the last horizon's target,
    spend_last_horizon; their orders do.
    """
    events = with_cancellations(events)
    orders = orders_at(events, cutoffs)
    in_category = events.join(categories, on="item_id")
    first = events.group_by("customer_id").agg(pl.min("occurred_at"))
    parts = [
        orders.group_by(KEYS).agg(_order_features(horizon_days)),
        _btyd_summary(orders),
        _gap_features(orders),
        _line_features(events, cutoffs, categories),
        _num_distinct(events, cutoffs, "item_id", "num_distinct_items"),
        _num_distinct(in_category, cutoffs, "category", "num_distinct_categories"),
        _contact_features(events, cutoffs),
        _cost_features(events, cutoffs),
        known_at(first, cutoffs).select(*KEYS, known_days="age_days"),
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
    age = pl.col("age_days")
    amount = pl.col("amount")
    # The days of the horizon, a year earlier.
    year_ago = (age > YEAR_DAYS - horizon_days) & (age <= YEAR_DAYS)
    was_there = pl.when(age.max() >= YEAR_DAYS)
    return [
        age.min().alias("recency_days"),
        age.max().alias("tenure_days"),
        pl.len().alias("num_orders"),
        pl.col("occurred_at").dt.date().n_unique().alias("num_order_days"),
        amount.sum().alias("total_spend"),
        (pl.col("gross") - amount).sum().alias("total_cancelled"),
        pl.col("discount").sum().alias("total_discount"),
        amount.mean().alias("mean_order_value"),
        amount.std().alias("std_order_value"),
        amount.max().alias("max_order_value"),
        pl.col("num_lines").mean().alias("mean_lines"),
        (age <= horizon_days).sum().alias("orders_last_horizon"),
        pl.col("gross").filter(age <= horizon_days).sum().alias("spend_last_horizon"),
        was_there.then(amount.filter(year_ago).sum()).alias("year_ago_spend"),
        was_there.then(year_ago.sum()).alias("year_ago_orders"),
        *((age <= days).sum().alias(f"orders_{days}d") for days in WINDOWS_DAYS),
        *(amount.filter(age <= days).sum().alias(f"spend_{days}d") for days in WINDOWS_DAYS),
        *(_bucket_spend(number) for number in range(NUM_BUCKETS)),
        *(_last_order_value(number) for number in range(NUM_LAST_ORDERS)),
    ]


def _bucket_spend(number: int) -> pl.Expr:
    """Spend of a period of BUCKET_DAYS; 0 is the newest."""
    end = BUCKET_DAYS * number
    age = pl.col("age_days")
    is_inside = (age > end) & (age <= end + BUCKET_DAYS)
    return pl.col("amount").filter(is_inside).sum().alias(f"spend_bucket_{number}")


def _last_order_value(number: int) -> pl.Expr:
    newest_first = pl.col("amount").reverse()
    return newest_first.get(number, null_on_oob=True).alias(f"last_order_{number}_value")


def _gap_features(known: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation of the days between a customer's successive order days."""
    day = pl.col("occurred_at").dt.date().alias("day")
    days = known.select(*KEYS, day).unique().sort(*KEYS, "day")
    gaps = days.with_columns(pl.col("day").diff().over(KEYS).dt.total_days().alias("gap"))
    return gaps.group_by(KEYS).agg(
        pl.col("gap").mean().alias("mean_gap_days"), pl.col("gap").std().alias("std_gap_days")
    )


def _line_features(
    events: pl.DataFrame, cutoffs: pl.DataFrame, categories: pl.DataFrame
) -> pl.DataFrame:
    """How many units a customer bought and for how much each, how often and by how much cheaper, and of what.

    Sums are of whole PARTS, the same in any order: those of floats differ by what else is in a
    table.
    """
    last_place = categories["place"].max()
    places = range(0 if last_place is None else int(last_place) + 1)  # type: ignore[arg-type]
    moments = _moments(events.filter(is_purchase()), categories, places)
    known = known_at(moments, cutoffs).filter(~is_cancelled())
    is_recent = pl.col("age_days") <= RECENT_DAYS
    amount = pl.col("amount")
    counted = pl.col("counted_amount")
    quantity = pl.col("quantity")
    discount = pl.col("discount")
    return known.group_by(KEYS).agg(
        (quantity.sum() * (1 / PARTS)).alias("total_quantity"),
        _ratio(counted, quantity).alias("mean_unit_price"),
        _ratio(counted.filter(is_recent), quantity.filter(is_recent)).alias(
            f"mean_unit_price_{RECENT_DAYS}d"
        ),
        _ratio(pl.col("discounted"), pl.col("lines")).alias("discounted_lines"),
        _ratio(discount, amount + discount).alias("discount_rate"),
        _ratio(discount.filter(is_recent), (amount + discount).filter(is_recent)).alias(
            f"discount_rate_{RECENT_DAYS}d"
        ),
        *(_category_share(place, places) for place in range(NUM_CATEGORIES)),
    )


def _moments(lines: pl.DataFrame, categories: pl.DataFrame, places: range) -> pl.DataFrame:
    """Sums over the lines of each customer and instant, in PARTS; in_0 is spend in the first leading category."""
    sums = pl.col("amount", "discount", "quantity") * PARTS
    placed = lines.with_columns(sums.round().cast(pl.Int64, strict=False)).join(
        categories, on="item_id", how="left"
    )
    amount = pl.col("amount")
    is_counted = pl.col("quantity") > 0
    return placed.group_by("customer_id", "occurred_at", "cancelled_at").agg(
        pl.len().alias("lines"),
        (pl.col("discount") > 0).sum().alias("discounted"),
        pl.col("discount").sum(),
        amount.sum(),
        amount.filter(is_counted).sum().alias("counted_amount"),
        pl.col("quantity").filter(is_counted).sum(),
        *(amount.filter(pl.col("place") == place).sum().alias(f"in_{place}") for place in places),
    )


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """The ratio of two sums, null where the second is not positive."""
    return pl.when(whole.sum() > 0).then(part.sum() / whole.sum())


def _category_share(place: int, places: range) -> pl.Expr:
    """The share of spend in a leading category; null where no item is in it."""
    share = _ratio(pl.col(f"in_{place}"), pl.col("amount")) if place in places else pl.lit(None)
    return share.alias(f"{CATEGORY_SHARE}{place}")


def _num_distinct(
    events: pl.DataFrame, cutoffs: pl.DataFrame, column: str, name: str
) -> pl.DataFrame:
    """How many different values of a column the customer had bought; the first purchase of each decides."""
    bought = events.filter(is_purchase() & pl.col(column).is_not_null())
    first = bought.group_by("customer_id", column).agg(pl.col("occurred_at").min())
    return known_at(first, cutoffs).group_by(KEYS).agg(pl.len().alias(name))


def _contact_features(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Events other than purchases in the last RECENT_DAYS, by kind."""
    known = known_at(events.filter(pl.col("kind").is_in(CONTACT_KINDS)), cutoffs)
    is_recent = pl.col("age_days") <= RECENT_DAYS
    counts = []
    for kind in CONTACT_KINDS:
        is_counted = is_recent & (pl.col("kind") == kind)
        counts.append(is_counted.sum().alias(f"{kind}_{RECENT_DAYS}d"))
    return known.group_by(KEYS).agg(counts)


def _cost_features(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    costly = events.filter((pl.col("kind") == "refund") | (pl.col("cost") > 0))
    return known_at(costly, cutoffs).filter(~is_cancelled()).group_by(KEYS).agg(cost_sums())


def cost_sums() -> list[pl.Expr]:
    """Money that went out in a group of events, positive: refunds, goods (cost of what was bought), service, marketing.

    Service is all that is not one of the others.
    """
    cost = pl.col("cost")
    is_marketing = pl.col("kind").is_in(MARKETING_KINDS)
    is_service = ~is_purchase() & ~is_marketing
    return [
        (-pl.col("amount").filter(pl.col("kind") == "refund").sum()).alias("total_refunded"),
        cost.filter(is_purchase()).sum().alias("total_goods_cost"),
        cost.filter(is_service).sum().alias("total_service_cost"),
        cost.filter(is_marketing).sum().alias("total_marketing_cost"),
    ]


def _btyd_summary(known: pl.DataFrame) -> pl.DataFrame:
    summary = summarise(known)
    names = dict(zip(("frequency", "recency", "age"), BTYD_SUMMARY, strict=True))
    return summary.rename(names).select(*KEYS, *BTYD_SUMMARY)
