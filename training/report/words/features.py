"""What features and events are called in reports: words in place of the names of columns."""

import re

from lifecycle.features.attributes import PREFIX
from lifecycle.features.orders import BUCKET_DAYS
from training.report.page import number
from training.report.words.models import spaced
from training.results.customers import Reason

FEATURES = {
    "btyd_frequency": "order days after the first",
    "btyd_recency": "days from first to last order",
    "btyd_age": "days since the first order",
    "btyd_spend": "spend by BG/NBD",
    "btyd_orders": "orders by BG/NBD",
    "btyd_order_value": "order value by BG/NBD",
    "btyd_active": "chance of being a customer still, by BG/NBD",
    "spend_last_horizon": "spend in the last horizon",
    "orders_last_horizon": "orders in the last horizon",
    "recency_days": "days since the last order",
    "tenure_days": "days since the first order",
    "known_days": "days since the first event",
    "num_orders": "orders",
    "num_order_days": "days with orders",
    "total_spend": "spend in all",
    "total_discount": "discount in all",
    "mean_order_value": "mean order value",
    "std_order_value": "spread of order values",
    "max_order_value": "largest order",
    "mean_lines": "lines an order",
    "mean_gap_days": "mean days between orders",
    "std_gap_days": "spread of days between orders",
    "recency_over_gap": "silence over the usual gap",
    "year_ago_spend": "spend in the same days a year ago",
    "year_ago_orders": "orders in the same days a year ago",
    "num_distinct_items": "different items",
    "num_distinct_categories": "different categories",
    "total_quantity": "units in all",
    "mean_unit_price": "mean unit price",
    "discounted_lines": "share of lines at a discount",
    "discount_rate": "rate of discount",
    "total_cancelled": "cancelled in all",
    "total_refunded": "refunded in all",
    "total_goods_cost": "cost of goods in all",
    "total_service_cost": "cost of service in all",
    "total_marketing_cost": "cost of marketing in all",
    "trial_days": "days since the trial",
    "cancelled_days": "days since the cancellation",
    "paused_days": "days since the pause",
    "plan_days": "days that a payment covers",
    "plan_paid_days": "days since the payment for the plan",
    "plan_days_left": "days until the next payment",
    "plan_amount": "price of the plan",
    "num_plan_payments": "payments for the plan",
}
OVERDUE = "days that the next payment is late"  # plan_days_left below 0
MONEY = re.compile(
    r"spend|plan_amount|total_(spend|disc|canc|ref|goods|serv|mark)|order_value|last_order_|year_ago_spend|unit_price"
)
EVENT = re.compile(r"(\w+) (\d{4}-\d\d-\d\d)T.*")  # kind and instant
LAST = ("last", "second last", "third last", "fourth last", "fifth last")


def feature_words(name: str) -> str:
    """What a feature is called; of an attribute the name that the shop gave it."""
    if name in FEATURES:
        return FEATURES[name]
    if found := EVENT.fullmatch(name):
        return f"{spaced(found[1])} of {found[2]}"
    if name.startswith(PREFIX):
        return spaced(name.removeprefix(PREFIX)).replace("=", ": ")
    if found := re.fullmatch(r"category_share[=_](.+)", name):
        return f"share of spend on {_category(found[1])}"
    if found := re.fullmatch(r"spend_bucket_(\d+)", name):
        newest = BUCKET_DAYS * int(found[1])
        return f"spend {newest} to {newest + BUCKET_DAYS} days ago"
    if found := re.fullmatch(r"last_order_(\d+)_value", name):
        return f"{LAST[int(found[1])]} order"
    if found := re.fullmatch(r"(.+)_(\d+)d", name):
        what = FEATURES.get(found[1], spaced(found[1]))
        return f"{what} in the last {found[2]} days"
    return spaced(name)


def _category(told: str) -> str:
    return f"leading category {int(told) + 1}" if told.isdecimal() else told


def reason_words(reason: Reason, currency: str) -> str:
    """`days since the last order 12 (+8 %)`; of an event, its kind, day and amount."""
    said = feature_words(reason.feature)
    value = reason.value
    if reason.feature == "plan_days_left" and isinstance(value, int | float) and value < 0:
        said, value = OVERDUE, -value
    is_category = reason.feature.startswith(PREFIX) and "=" in reason.feature
    if isinstance(value, int | float) and not is_category:
        is_whole = isinstance(value, int) or value.is_integer()
        said += f" {number(int(value) if is_whole else value)}"
        if MONEY.search(reason.feature) or EVENT.fullmatch(reason.feature):
            said += f" {currency}"
    if reason.effect is not None:
        said += f" ({100 * reason.effect:+.0f} %)"
    return said
