"""Which earlier purchase each refund takes back."""

from collections import defaultdict

import polars as pl

KEYS = ["customer_id", "item_id"]


def match_refunds(events: pl.DataFrame) -> pl.DataFrame:
    """One row per matched refund: refund_id, purchase_id.

    A refund matches a purchase of the same customer and item that is not later and not refunded in full yet: of the
    same order where there is one, else the latest. `events` is sorted by time; refunds without an item stay unmatched.
    """
    refunds = events.filter((pl.col("kind") == "refund") & pl.col("item_id").is_not_null())
    if refunds.is_empty():
        return pl.DataFrame(schema={"refund_id": pl.String, "purchase_id": pl.String})
    purchases = events.filter(pl.col("kind") == "purchase").join(refunds, on=KEYS, how="semi", maintain_order="left")
    bought = defaultdict(list)
    columns = ["customer_id", "item_id", "occurred_at", "order_id", "event_id", "quantity", "amount"]
    for customer, item, at, order, event, quantity, amount in purchases.select(columns).iter_rows():
        bought[customer, item].append([at, order, event, _units(quantity, amount)])
    matches = []
    for customer, item, at, order, event, quantity, amount in refunds.select(columns).iter_rows():
        earlier = [line for line in bought[customer, item] if line[0] <= at]
        units = _units(quantity, amount)
        same_order = [line for line in earlier if order is not None and line[1] == order]
        for line in [*reversed(same_order), *reversed(earlier)]:
            if line[3] >= units - 1e-9:
                line[3] -= units
                matches.append((event, line[2]))
                break
    return pl.DataFrame(matches, schema={"refund_id": pl.String, "purchase_id": pl.String}, orient="row")


def _units(quantity: float | None, amount: float | None) -> float:
    return abs(quantity if quantity is not None else amount or 0.0)
