"""Events as arrays by customer and time, in which what happened before an instant is one stretch of rows.

Tables pay for every call and arrays for every row: a request has one customer, a shop a million.
Nothing here depends on who else is in a table, not in the last bit.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

import numpy as np
import polars as pl

from lifecycle.events.history import CANCELLED_WITHIN, DAYS_PER_SECOND, with_cancellations
from lifecycle.events.schema import KINDS, REVENUE_KINDS, order_key

MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND
NEVER = np.iinfo(np.int64).max
NUMBERS = ("amount", "quantity", "discount", "cost")


@dataclass(frozen=True)
class Cutoffs:
    """n pairs of a customer, by its place among all that are asked for, and an instant in microseconds since 1970."""

    customer: np.ndarray
    at: np.ndarray

    def __len__(self) -> int:
        return len(self.at)

    def days_before(self, days: int) -> Self:
        """The instants since which, by `age_days`, no more than some days have passed."""
        seconds = days * 86_400
        # The product may be a bit above the number of days.
        oldest = seconds if seconds * DAYS_PER_SECOND <= days else seconds - 1
        return replace(self, at=self.at - (oldest + 1) * SECOND + 1)


@dataclass(frozen=True)
class Timeline:
    """m events by customer and time, those of one order and instant together; arrays (m,). Unknown numbers are 0."""

    customer: np.ndarray
    at: np.ndarray  # microseconds since 1970
    kind: np.ndarray  # place among KINDS
    order: np.ndarray  # in the order of the keys as text
    item: np.ndarray  # place among `items`; -1 where there is none
    amount: np.ndarray
    quantity: np.ndarray
    discount: np.ndarray
    cost: np.ndarray
    cancelled_at: np.ndarray  # NEVER of lines that were not; see `with_cancellations`

    def where(self, rows: np.ndarray) -> Self:
        """Some of the events, by a mask or by ascending places."""
        return type(self)(*(column[rows] for column in vars(self).values()))

    def of_kinds(self, kinds: tuple[str, ...]) -> Self:
        """The events of some kinds."""
        return self.where(is_kind(self.kind, kinds))

    def purchases(self) -> Self:
        """The lines that bring revenue."""
        return self.of_kinds(REVENUE_KINDS)

    def starts(self, cutoffs: Cutoffs) -> np.ndarray:
        """Where the events of each cutoff's customer begin, (n,)."""
        return np.searchsorted(self.customer, cutoffs.customer, side="left")

    def ends(self, cutoffs: Cutoffs) -> np.ndarray:
        """Where those of them end that are before the cutoff, (n,)."""
        if len(cutoffs) == 1:  # as most requests have; to number instants takes five times as long
            start, stop = np.searchsorted(self.customer, cutoffs.customer[0] + np.arange(2))
            end: np.ndarray = start + np.searchsorted(self.at[start:stop], cutoffs.at)
            return end
        distinct = np.unique(cutoffs.at)
        # By customer, and by how many of the instants are not after the event.
        width = len(distinct) + 1
        place = self.customer * width + np.searchsorted(distinct, self.at, side="right")
        wanted = cutoffs.customer * width + np.searchsorted(distinct, cutoffs.at)
        return np.searchsorted(place, wanted, side="right")

    def known(self, cutoffs: Cutoffs) -> tuple[np.ndarray, np.ndarray]:
        """An event before a cutoff of its customer for each: its place and that of the cutoff, ascending, (k,) both."""
        start = self.starts(cutoffs)
        count = self.ends(cutoffs) - start
        cutoff = np.repeat(np.arange(len(cutoffs)), count)
        first = np.repeat(start - (np.cumsum(count) - count), count)
        return first + np.arange(len(cutoff)), cutoff


def is_kind(kind: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    """Whether events, by their places among KINDS, are of some kinds."""
    wanted = np.array([name in kinds for name in KINDS])
    found: np.ndarray = wanted[kind]
    return found


def age_days(at: np.ndarray, cutoff_at: np.ndarray) -> np.ndarray:
    """Days from an instant to a later one, of whole seconds."""
    days: np.ndarray = (cutoff_at - at) // SECOND * DAYS_PER_SECOND
    return days


def timeline(events: pl.DataFrame, cutoffs: pl.DataFrame) -> tuple[Timeline, Cutoffs, pl.Series]:
    """Events (EVENT_SCHEMA) and cutoffs (customer_id, cutoff) with numbers for customers, and the item_id by place."""
    number, of_cutoffs = _numbered(events["customer_id"], cutoffs["customer_id"])
    asked = Cutoffs(of_cutoffs, cutoffs["cutoff"].cast(pl.Int64).to_numpy())
    places = events.select(
        pl.col("kind").cast(pl.Enum(KINDS)).to_physical(),
        order_key().rank("dense"),
        pl.col("item_id").rank("dense").fill_null(0),
    )
    kind, order, item = (column.to_numpy().astype(np.int64) for column in places.iter_columns())
    rows = Timeline(
        customer=number,
        at=events["occurred_at"].cast(pl.Int64).to_numpy(),
        kind=kind,
        order=order,
        item=item - 1,
        **{name: np.nan_to_num(events[name].to_numpy(), nan=0.0) for name in NUMBERS},
        cancelled_at=np.full(len(events), NEVER),
    )
    # Lines of one order and instant together, in whatever order they came.
    by_time = np.lexsort((rows.order, rows.at, rows.customer))
    if _may_cancel(rows.where(by_time)):
        when = with_cancellations(events)["cancelled_at"].to_physical()
        rows = replace(rows, cancelled_at=when.fill_null(NEVER).to_numpy())
    known, first = np.unique(rows.item, return_index=True)
    return rows.where(by_time), asked, events["item_id"][first[known >= 0]]


def _numbered(ids: pl.Series, asked: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Numbers for customers, alike where the ids are: of the events, and of those asked for."""
    if len(asked) == 1:  # as most requests do; ranks take ten times as long
        return (ids != asked[0]).to_numpy().astype(np.int64), np.zeros(1, dtype=np.int64)
    number = asked.clone().append(ids).rank("dense").to_numpy().astype(np.int64)
    return number[len(asked) :], number[: len(asked)]


def _may_cancel(rows: Timeline) -> bool:
    """Whether some refund follows a purchase of its customer as soon as one that cancels it."""
    refunds = rows.of_kinds(("refund",))
    if not len(refunds.at):
        return False
    bought = rows.purchases()
    upto = bought.ends(Cutoffs(refunds.customer, refunds.at + 1))
    before = bought.ends(Cutoffs(refunds.customer, refunds.at - CANCELLED_WITHIN // MICROSECOND))
    return bool((upto > before).any())
