"""Which earlier purchases each refund takes back."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import polars as pl

from lifecycle.events.schema import is_purchase

MATCHES = pl.Schema(
    {"refund_id": pl.String(), "purchase_id": pl.String(), "refund_share": pl.Float64()}
)
# Of events whose amount was converted by a rate that changes: the currency, and what one unit of it was worth.
CURRENCY_NUMBER = "__currency_number"
RATE = "__rate"
ROUNDING = 1e-9
MAX_LOOKED_AT = 200


def match_refunds(events: pl.DataFrame) -> pl.DataFrame:
    """One row per refund and purchase it takes back: refund_id, purchase_id, refund_share, which sums to 1 per refund.

    A refund matches purchases or renewals of the same customer and item that are not later and not
    refunded in full yet; one without an item those of its order. Lines of the same order come
    first, then the latest; one that holds the whole refund is preferred to several. A refund of
    more than was bought stays unmatched. Of an order, and of an item, the latest MAX_LOOKED_AT
    lines are looked at, so that the returns of a till cost no more than those of as many customers.
    Amounts of one currency are compared as they were paid, so that its rate may have changed since.
    `events` is sorted by time, and may have CURRENCY_NUMBER and RATE.
    """
    refunds = events.filter(
        (pl.col("kind") == "refund")
        & pl.any_horizontal(pl.col("item_id", "order_id").is_not_null())
    )
    if refunds.is_empty():
        return pl.DataFrame(schema=MATCHES)
    groups: dict[_Key, _Lines] = defaultdict(_Lines)
    for line in _lines(_refundable(events, refunds)):
        for key in dict.fromkeys(_keys(line)):
            groups[key].all.append(line)
    matches = []
    for refund in _lines(refunds):
        found = (groups[key].latest(refund.at) for key in _sought(refund) if key in groups)
        for line, part in _taken_back(refund, chain.from_iterable(found)):
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
    currency: int | None = None
    rate: float | None = None
    share_left: float = 1.0  # not refunded yet


_Key = tuple[str, str | None, str | None]  # customer, item, order; None: of any


def _keys(line: _Line) -> list[_Key]:
    """Under which a purchase is sought."""
    customer, item, order = line.customer_id, line.item_id, line.order_id
    keys: list[_Key] = [(customer, item, None)] if item is not None else []
    return keys if order is None else [*keys, (customer, item, order), (customer, None, order)]


def _sought(refund: _Line) -> list[_Key]:
    """Under which keys the lines lie that a refund may take back, the first ones first."""
    customer, item, order = refund.customer_id, refund.item_id, refund.order_id
    keys: list[_Key] = [(customer, item, order)] if order is not None else []
    return keys if item is None else [*keys, (customer, item, None)]


@dataclass
class _Lines:
    """Purchases under one key by time, of which those up to an instant are open until they are refunded."""

    all: list[_Line] = field(default_factory=list)
    num_passed: int = 0  # of `all`
    open: list[_Line] = field(default_factory=list)
    num_met: int = (
        0  # of the last ones in `open`, since those refunded in full were taken out of it
    )

    def latest(self, at: int) -> Iterator[_Line]:
        """The latest ones that are not later than `at` and not refunded in full yet, latest first."""
        if self.num_met:
            met = self.open[-self.num_met :]
            self.open[-self.num_met :] = [line for line in met if line.share_left > ROUNDING]
        while self.num_passed < len(self.all) and self.all[self.num_passed].at <= at:
            self.open.append(self.all[self.num_passed])
            self.num_passed += 1
        self.num_met = num_found = 0
        for line in reversed(self.open):
            self.num_met += 1
            if line.share_left > ROUNDING:
                yield line
                num_found += 1
            if num_found == MAX_LOOKED_AT:
                return


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
    paid = [name for name in (CURRENCY_NUMBER, RATE) if name in events.columns]
    rows = events.select(
        "customer_id", "item_id", "order_id", at, "event_id", "quantity", "amount", *paid
    )
    for row in rows.iter_rows():
        yield _Line(*row)


def _taken_back(refund: _Line, lines: Iterable[_Line]) -> list[tuple[_Line, float]]:
    """The lines that a refund takes back, each with its part of it; none where together they hold too little."""
    too_small: dict[int, _Line] = {}
    for line in lines:
        if _share(refund, line) <= line.share_left + ROUNDING:
            return [(line, 1.0)]
        too_small[id(line)] = line
    parts = []
    left = 1.0
    for line in too_small.values():
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
        bought = (purchase.amount or 0.0) * _change_of_rate(refund, purchase)
    return abs(taken / bought) if bought else float(taken != 0)


def _change_of_rate(refund: _Line, purchase: _Line) -> float:
    """What their currency was worth at the refund, in that of the purchase; 1 where they have not one that changes."""
    if not refund.rate or not purchase.rate or refund.currency != purchase.currency:
        return 1.0
    return refund.rate / purchase.rate
