"""Which earlier purchases each refund takes back."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from lifecycle.events.schema import is_purchase

MATCHES = pl.Schema(
    {"refund_id": pl.String(), "purchase_id": pl.String(), "refund_share": pl.Float64()}
)
ROUNDING = 1e-9


def match_refunds(events: pl.DataFrame) -> pl.DataFrame:
    """One row per refund and purchase it takes back: refund_id, purchase_id, refund_share, which sums to 1 per refund.

    A refund matches purchases or renewals of the same customer and item that are not later and not
    refunded in full yet; one without an item those of its order. Lines of the same order come
    first, then the latest; one that holds the whole refund is preferred to several. A refund of
    more than was bought stays unmatched. `events` is sorted by time.
    """
    refunds = events.filter(
        (pl.col("kind") == "refund")
        & pl.any_horizontal(pl.col("item_id", "order_id").is_not_null())
    )
    if refunds.is_empty():
        return pl.DataFrame(schema=MATCHES)
    by_item: dict[tuple[str, str | None], list[_Line]] = defaultdict(list)
    by_order: dict[tuple[str, str | None], list[_Line]] = defaultdict(list)
    for line in _lines(_refundable(events, refunds)):
        by_item[line.customer_id, line.item_id].append(line)
        by_order[line.customer_id, line.order_id].append(line)
    matches = []
    for refund in _lines(refunds):
        if refund.item_id is not None:
            lines = by_item.get((refund.customer_id, refund.item_id), [])
        else:
            lines = by_order.get((refund.customer_id, refund.order_id), [])
        earlier = [line for line in lines if line.at <= refund.at]
        for line, part in _taken_back(refund, earlier):
            line.share_left -= part * _share(refund, line)
            matches.append((refund.event_id, line.event_id, part))
    return pl.DataFrame(matches, schema=MATCHES, orient="row")


@dataclass
class _Line:
    customer_id: str
    item_id: str | None
    order_id: str | None
    at: int
    event_id: str
    quantity: float | None
    amount: float | None
    share_left: float = 1.0  # not refunded yet


def _refundable(events: pl.DataFrame, refunds: pl.DataFrame) -> pl.DataFrame:
    """The purchases of items or orders that some refund names, by time."""
    purchases = events.filter(is_purchase())
    without_item = refunds.filter(pl.col("item_id").is_null())
    by_item = purchases.join(
        refunds, on=["customer_id", "item_id"], how="semi", maintain_order="left"
    )
    if without_item.is_empty():
        return by_item
    by_order = purchases.join(
        without_item, on=["customer_id", "order_id"], how="semi", maintain_order="left"
    )
    lines = pl.concat([by_item, by_order]).unique("event_id", maintain_order=True)
    return lines.sort("occurred_at", maintain_order=True)


def _lines(events: pl.DataFrame) -> Iterator[_Line]:
    at = pl.col("occurred_at").cast(pl.Int64)
    rows = events.select("customer_id", "item_id", "order_id", at, "event_id", "quantity", "amount")
    for row in rows.iter_rows():
        yield _Line(*row)


def _taken_back(refund: _Line, earlier: list[_Line]) -> list[tuple[_Line, float]]:
    """The lines that a refund takes back, each with its part of it; none where together they hold too little."""

    def is_of_another_order(line: _Line) -> bool:
        return refund.order_id is None or line.order_id != refund.order_id

    newest_first = [line for line in reversed(earlier) if line.share_left > ROUNDING]
    ordered = sorted(newest_first, key=is_of_another_order)
    for line in ordered:
        if _share(refund, line) <= line.share_left + ROUNDING:
            return [(line, 1.0)]
    parts = []
    left = 1.0
    for line in ordered:
        part = min(left, line.share_left / _share(refund, line))
        parts.append((line, part))
        left -= part
        if left <= ROUNDING:
            return parts
    return []


def _share(refund: _Line, purchase: _Line) -> float:
    """How much of a purchase a whole refund takes back: by quantity where both have one, else by amount."""
    taken = refund.quantity
    bought = purchase.quantity
    if not taken or not bought or refund.item_id is None:
        taken = refund.amount or 0.0
        bought = purchase.amount or 0.0
    return abs(taken / bought) if bought else float(taken != 0)
