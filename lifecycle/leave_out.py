"""Which events moved a prediction: what the champion would say without each of them (leave one out)."""

from collections.abc import Callable

import numpy as np
import polars as pl

from lifecycle.artifact import Artifact, examples_for
from lifecycle.events import REVENUE_KINDS, order_key
from lifecycle.explain import Reason

MAX_LEFT_OUT = 20  # the newest orders and other events of a customer; older ones move little
PART = "__part"
SpendOf = Callable[[pl.DataFrame, pl.DataFrame], np.ndarray]  # examples and their customers' events to spend (n,)


def event_effects(
    artifact: Artifact, spend_of: SpendOf, events: pl.DataFrame, customer: pl.DataFrame, total: float
) -> list[Reason]:
    """The orders and other events of one customer by how much they moved its expected spend `total`, most first.

    `customer` is a row of cutoffs (customer_id, cutoff, and a discount rate perhaps). `feature` is the kind and the
    instant, `value` the amount, and `effect` by what share the event changes the prediction (0.1: a tenth more). An
    order is left out with all its lines; one without which nothing is known is not left out.
    """
    own = events.join(customer.select("customer_id"), on="customer_id", how="semi")
    known = own.filter(pl.col("occurred_at") < customer["cutoff"][0])
    is_order = pl.col("kind").is_in(REVENUE_KINDS)
    known = known.with_columns(pl.when(is_order).then(order_key()).otherwise("event_id").alias(PART))
    parts = known.group_by(PART).agg(
        pl.col("occurred_at").max(), pl.col("kind").first(), pl.col("amount").sum(), is_order.any().alias("is_order")
    )
    num_orders = parts["is_order"].sum()
    parts = parts.filter(~pl.col("is_order") | (num_orders > 1)).sort("occurred_at", PART).tail(MAX_LEFT_OUT)
    if parts.is_empty():
        return []
    names = [f"without-{number}" for number in range(parts.height)]
    others = [
        known.filter(pl.col(PART) != part).drop(PART).with_columns(pl.lit(name).alias("customer_id"))
        for name, part in zip(names, parts[PART], strict=True)
    ]
    without = pl.concat(others)
    cutoffs = pl.concat([customer] * parts.height).with_columns(pl.Series("customer_id", names))
    spend = spend_of(examples_for(artifact, without, cutoffs), without)
    effects = total / np.maximum(spend, 1e-9) - 1.0
    order = np.argsort(-np.abs(effects), kind="stable")
    rows = parts.with_columns(pl.Series("effect", effects))[order]
    return [
        {"feature": f"{row['kind']} {row['occurred_at'].isoformat()}", "value": row["amount"], "effect": row["effect"]}
        for row in rows.iter_rows(named=True)
    ]
