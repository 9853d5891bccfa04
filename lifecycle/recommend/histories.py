"""What customers bought, as arrays: the form in which rankers read purchases, and the matrices they make of it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from scipy import sparse

from lifecycle.recommend.baselines import before

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Pairs:
    """The distinct pairs of customer and item, by customer and then item; the lines of one are neighbours."""

    lines: np.ndarray  # (n,) the lines of the histories in the order of pairs, oldest first in each
    start: np.ndarray  # (m,) the place in `lines` of each pair's first
    customer: np.ndarray  # (m,)
    item: np.ndarray  # (m,)

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over each pair's lines of one value a line."""
        return np.add.reduceat(values[self.lines], self.start) if len(self.start) else values[:0]

    @property
    def last(self) -> np.ndarray:
        """The latest line of each pair, as a place in the histories."""
        ends = np.append(self.start[1:], len(self.lines))[: len(self.start)]
        found: np.ndarray = self.lines[ends - 1]
        return found


@dataclass(frozen=True)
class Histories:
    """Customers' purchases before a cutoff: a line is a distinct customer, order and item.

    Lines are sorted by customer, age (oldest first), order and item. Orders are numbered in that
    order, so that those of a customer follow each other. All lines of an order are of one age, that
    of its last purchase.
    """

    customer: np.ndarray  # (n,) int64, a position in the customers asked for
    order: np.ndarray  # (n,) int64, from 0
    item: np.ndarray  # (n,) int64, a position in the sorted catalogue
    age_days: np.ndarray  # (n,) float64, at the cutoff, above 0
    num_customers: int
    num_items: int

    @cached_property
    def pairs(self) -> Pairs:
        """Who has bought what."""
        code = self.customer * self.num_items + self.item
        lines = np.argsort(code, kind="stable")
        start = np.flatnonzero(np.diff(code[lines], prepend=-1))
        first = lines[start]
        return Pairs(lines, start, self.customer[first], self.item[first])

    @cached_property
    def orders(self) -> np.ndarray:
        """The first line of each order."""
        return np.flatnonzero(np.diff(self.order, prepend=-1))

    @cached_property
    def num_orders(self) -> np.ndarray:
        """The number of orders of each customer."""
        return np.bincount(self.customer[self.orders], minlength=self.num_customers)

    def matrix(self, values: np.ndarray) -> sparse.csr_array:
        """The matrix (customers, items) of one value a pair, in the order of `pairs`."""
        bounds = np.searchsorted(self.pairs.customer, np.arange(self.num_customers + 1))
        shape = (self.num_customers, self.num_items)
        # A copy: some of a matrix's methods change its arrays in place.
        return sparse.csr_array((values, self.pairs.item.copy(), bounds), shape=shape)

    def block(self, first: int, end: int) -> "Histories":
        """Those of the customers at positions in [first, end), who are numbered from 0."""
        low, high = np.searchsorted(self.customer, [first, end])
        lines = slice(low, high)
        order = self.order[lines]
        return Histories(
            customer=self.customer[lines] - first,
            order=order - (order[0] if len(order) else 0),
            item=self.item[lines],
            age_days=self.age_days[lines],
            num_customers=min(end, self.num_customers) - first,
            num_items=self.num_items,
        )


def order_counts(histories: Histories) -> sparse.csr_array:
    """In how many orders each customer bought each item: shape (customers, items)."""
    return histories.matrix(histories.pairs.total(np.ones(len(histories.item))))


def decayed_counts(histories: Histories, half_life_days: float) -> sparse.csr_array:
    """The sum of 2^(-age / half-life) over the orders of `order_counts`; an infinite half-life gives these counts.

    Items of the same orders have equal sums to the last bit.
    """
    return histories.matrix(histories.pairs.total(2.0 ** (-histories.age_days / half_life_days)))


def read_histories(
    purchases: pl.DataFrame, customer_ids: pl.Series, item_ids: pl.Series, *, cutoff: datetime
) -> Histories:
    """The histories of `customer_ids` (each once) over the sorted catalogue, from frames as `before` reads them.

    Items off the catalogue are left out.
    """
    customers = customer_ids.to_frame("customer_id").with_row_index("customer")
    known = with_positions(before(purchases, cutoff), item_ids).join(customers, on="customer_id")
    by_order = known.group_by("customer", "order_id")
    orders = by_order.agg(pl.col("item").unique().sort(), at=pl.col("occurred_at").max())
    in_time = orders.sort("customer", "at", "order_id").with_row_index("order")
    lines = in_time.explode("item", empty_as_null=False)
    age = (pl.lit(cutoff) - pl.col("at")).dt.total_seconds(fractional=True)
    return Histories(
        customer=lines["customer"].cast(pl.Int64).to_numpy(),
        order=lines["order"].cast(pl.Int64).to_numpy(),
        item=lines["item"].cast(pl.Int64).to_numpy(),
        age_days=lines.select(age / DAY_SECONDS).to_series().to_numpy(),
        num_customers=len(customer_ids),
        num_items=len(item_ids),
    )


def with_positions(rows: pl.DataFrame, item_ids: pl.Series) -> pl.DataFrame:
    """The rows whose item_id is one of the sorted `item_ids`, with its position there as `item`: UInt32."""
    # A binary search: a join would hash the whole catalogue for the few rows of one customer.
    found = item_ids.search_sorted(rows["item_id"], side="left")
    found = found.clip(0, len(item_ids) - 1).cast(pl.UInt32)
    return rows.with_columns(found.alias("item")).filter(item_ids.gather(found) == rows["item_id"])
