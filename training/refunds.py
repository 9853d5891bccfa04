"""Which earlier purchase each refund takes back."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from lifecycle.events import REVENUE_KINDS

KEYS = ["customer_id", "item_id"]


def match_refunds(events: pl.DataFrame) -> pl.DataFrame:
    """One row per matched refund: refund_id, purchase_id.

    A refund matches a purchase or renewal of the same customer and item that is not later and not refunded in full
    yet: of the same order where there is one, else the latest. `events` is sorted by time; refunds without an item
    stay unmatched.
    """
    refunds = events.filter((pl.col("kind") == "refund") & pl.col("item_id").is_not_null())
    if refunds.is_empty():
        return pl.DataFrame(schema={"refund_id": pl.String, "purchase_id": pl.String})
    purchases = events.filter(pl.col("kind").is_in(REVENUE_KINDS)).join(
        refunds, on=KEYS, how="semi", maintain_order="left"
    )
    bought = defaultdict(list)
    for *key, line in _lines(purchases):
        bought[tuple(key)].append(line)
    matches = []
    for *key, refund in _lines(refunds):
        earlier = [line for line in bought[tuple(key)] if line.at <= refund.at]
        same_order = [line for line in earlier if refund.order_id is not None and line.order_id == refund.order_id]
        for line in [*reversed(same_order), *reversed(earlier)]:
            share = _share(refund, line)
            if share <= line.share_left + 1e-9:
                line.share_left -= share
                matches.append((refund.event_id, line.event_id))
                break
    return pl.DataFrame(matches, schema={"refund_id": pl.String, "purchase_id": pl.String}, orient="row")


@dataclass
class _Line:
    at: int
    order_id: str | None
    event_id: str
    quantity: float | None
    amount: float | None
    share_left: float = 1.0  # not refunded yet


def _lines(events: pl.DataFrame) -> Iterator[tuple[str, str, _Line]]:
    columns = [*KEYS, pl.col("occurred_at").cast(pl.Int64), "order_id", "event_id", "quantity", "amount"]
    for customer, item, *rest in events.select(columns).iter_rows():
        yield customer, item, _Line(*rest)


def _share(refund: _Line, purchase: _Line) -> float:
    """How much of a purchase a refund takes back: by quantity where both have one, else by amount."""
    taken, bought = refund.quantity, purchase.quantity
    if not taken or not bought:
        taken, bought = refund.amount or 0.0, purchase.amount or 0.0
    return abs(taken / bought) if bought else float(taken != 0)
