"""A customer's numbers by the names that marketers know: what has come so far, and what is expected."""

from datetime import datetime, timedelta

import polars as pl

from lifecycle.events.schema import is_purchase, order_key
from lifecycle.state.answers import Answer

SECONDS_A_DAY = 86_400


def marketing_numbers(events: pl.DataFrame, value: Answer, period_days: int) -> Answer:
    """Orders and money of a customer until now and from now on.

    `events` are all of the customer's, `value` is the answer of /v1/value, whose periods are of
    `period_days` each. historic_clv is what came less what it cost: purchases, renewals and refunds
    minus the costs that events record. predicted_clv is the clv of `value`, and total_clv the sum.
    Numbers that need orders are null without them.
    """
    bought = events.filter(is_purchase())
    orders = bought.group_by(order_key().alias("order")).agg(
        pl.col("occurred_at").min(), pl.col("amount").sum()
    )
    days = orders["occurred_at"].sort()
    revenue = float(orders["amount"].sum())
    refunds = float(events.filter(pl.col("kind") == "refund")["amount"].sum())
    historic = revenue + refunds - float(events["cost"].sum())
    predicted = _number(value, "clv")
    next_order_at = expected_next_order(value, period_days)
    return {
        "historic_clv": historic,
        "predicted_clv": predicted,
        "total_clv": historic + predicted,
        "historic_number_of_orders": orders.height,
        "predicted_number_of_orders": _number(value, "expected_orders"),
        "average_days_between_orders": _mean_gap(days),
        "average_order_value": revenue / orders.height if orders.height else None,
        "churn_probability": _number(value, "churn_probability"),
        "expected_date_of_next_order": None
        if next_order_at is None
        else next_order_at.date().isoformat(),
    }


def expected_next_order(value: Answer, period_days: int) -> datetime | None:
    """When the orders expected from `as_of` on come to one; None where they do not within all periods.

    A period's orders are its revenue over the expected value of an order, evenly spread over its days.
    """
    of_one = _number(value, "expected_order_value")
    if of_one <= 0:
        return None
    so_far = 0.0
    periods = value["periods"]
    assert isinstance(periods, list)
    for place, period in enumerate(periods):
        assert isinstance(period, dict)
        more = _number(period, "revenue") / of_one
        if so_far + more >= 1:
            days = (place + (1 - so_far) / more) * period_days
            return datetime.fromisoformat(str(value["as_of"])) + timedelta(days=days)
        so_far += more
    return None


def _mean_gap(ascending: pl.Series) -> float | None:
    """Days from an order to the next; None with fewer than two."""
    if len(ascending) < 2:
        return None
    span: timedelta = ascending[-1] - ascending[0]
    return span.total_seconds() / SECONDS_A_DAY / (len(ascending) - 1)


def _number(answer: Answer, name: str) -> float:
    found = answer[name]
    assert isinstance(found, int | float)
    return float(found)
