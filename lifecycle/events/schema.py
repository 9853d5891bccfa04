"""What an event is: its kinds, its columns, and the bounds of what they hold."""

import polars as pl

REVENUE_KINDS = ("purchase", "renewal")
ENCODED_KINDS = (  # that encoders and trees know, by their place; what they were trained on must not move
    "purchase", "refund", "view", "cart", "search", "review",
    "support", "campaign", "redemption", "renewal", "cancellation",
)  # fmt: skip
STANDING_KINDS = ("trial", "pause", "resume")  # read by `features.standing` alone
EXPOSURE_KINDS = ("impression", "click")  # shown, and followed; no model reads them
KINDS = (*ENCODED_KINDS, *STANDING_KINDS, *EXPOSURE_KINDS)
EVENT_SCHEMA = pl.Schema(
    {
        "event_id": pl.String(),
        "customer_id": pl.String(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "kind": pl.String(),
        "order_id": pl.String(),
        "item_id": pl.String(),
        "quantity": pl.Float64(),
        "amount": pl.Float64(),  # money in; refunds negative
        "discount": pl.Float64(),  # positive
        "cost": pl.Float64(),  # money out that this event caused
        "rating": pl.Float64(),
        "text": pl.String(),
        "impression_id": pl.String(),
        "shop_day": pl.Date(),  # of the shop's clock; null where that is UTC
        "plan_days": pl.Float64(),  # that a payment covers; null where it is no plan's, or unknown
    }
)
MIN_PLAN_DAYS = 1.0
MAX_PLAN_DAYS = 36_525.0
FIRST_YEAR = 1900  # of events; dates outside are slips that would move every cutoff
LAST_YEAR = 2199
OWN_RATE = "annual_discount_rate"  # the customer attribute by which its future is discounted, in place of the shop's
MIN_RATE = -0.9  # of such a rate: beyond, powers over decades overflow
MAX_RATE = 10.0
# Newest orders and other events that explanations leave out in turn; older ones move little.
MAX_LEFT_OUT = 20
ITEM_COLUMNS = ("item_id", "title", "category", "price", "description")


def is_purchase() -> pl.Expr:
    """Whether a line brings revenue: a purchase or a renewal."""
    return pl.col("kind").is_in(REVENUE_KINDS)


def order_key() -> pl.Expr:
    """What makes lines one order: their order_id, or the day of the shop where there is none."""
    day = pl.coalesce("shop_day", pl.col("occurred_at").dt.date())
    return pl.coalesce("order_id", day.cast(pl.String))


def with_shop_days(events: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Events with their day by the shop's clock, where they have none yet."""
    if timezone == "UTC":
        return events
    day = pl.col("occurred_at").dt.convert_time_zone(timezone).dt.date()
    return events.with_columns(pl.coalesce("shop_day", day).alias("shop_day"))
