"""Which events moved a prediction: what the champion would say without each of them (leave one out)."""

import numpy as np
import polars as pl

from lifecycle.artifact.answers import examples_for
from lifecycle.artifact.champion import Champion
from lifecycle.events.schema import MAX_LEFT_OUT, is_purchase, order_key
from lifecycle.spend.contributions import Reason

MAX_EVENTS = 10_000  # in a history, which is copied for each event that is left out
PART = "__part"


def event_effects(
    champion: Champion, events: pl.DataFrame, customer: pl.DataFrame, total: float
) -> list[Reason]:
    """The orders and other events of one customer by how much they moved its expected spend `total`, most first.

    `customer` is a row of cutoffs (customer_id, cutoff, and a discount rate perhaps). `feature` is
    the kind and the instant, `value` the amount, and `effect` by what share the event changes the
    prediction (0.1: a tenth more; None where nothing would be expected without it). An order is
    left out with all its lines; one without which nothing is known is not left out. Nothing is told
    of histories of more than MAX_EVENTS.
    """
    own = events.join(customer.select("customer_id"), on="customer_id", how="semi")
    known = own.filter(pl.col("occurred_at") < customer["cutoff"][0])
    is_order = is_purchase()
    part = pl.when(is_order).then(order_key()).otherwise("event_id")
    # Ids of orders and events may be alike.
    known = known.with_columns(pl.format("{}:{}", is_order, part).alias(PART))
    parts = known.group_by(PART).agg(
        pl.col("occurred_at").max(),
        pl.col("kind").first(),
        pl.col("amount").sum(),
        is_order.any().alias("is_order"),
    )
    num_orders = parts["is_order"].sum()
    parts = (
        parts.filter(~pl.col("is_order") | (num_orders > 1))
        .sort("occurred_at", PART)
        .tail(MAX_LEFT_OUT)
    )
    if parts.is_empty() or known.height > MAX_EVENTS:
        return []
    names = [f"without-{number}" for number in range(parts.height)]
    others = [
        known.filter(pl.col(PART) != part)
        .drop(PART)
        .with_columns(pl.lit(name).alias("customer_id"))
        for name, part in zip(names, parts[PART], strict=True)
    ]
    without = pl.concat(others)
    cutoffs = pl.concat([customer] * parts.height).with_columns(pl.Series("customer_id", names))
    spend = champion.spend(examples_for(champion.artifact, without, cutoffs), without)
    found: list[Reason] = []
    for row, without_it in zip(parts.iter_rows(named=True), spend, strict=True):
        effect = (
            0.0 if without_it == total else total / without_it - 1.0 if without_it > 0 else None
        )
        instant = row["occurred_at"].isoformat()
        found.append(
            {"feature": f"{row['kind']} {instant}", "value": row["amount"], "effect": effect}
        )
    return sorted(found, key=_size, reverse=True)


def _size(reason: Reason) -> float:
    effect = reason["effect"]
    return abs(effect) if isinstance(effect, float) else np.inf
