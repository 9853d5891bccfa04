"""Numbers that describe a customer at a cutoff: recency, frequency, value, rhythm, season, prices, mix, contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from lifecycle.events.history import KEYS
from lifecycle.events.schema import ENCODED_KINDS, EXPOSURE_KINDS, KINDS, REVENUE_KINDS
from lifecycle.events.timeline import NEVER, Cutoffs, Timeline, age_days, is_kind, timeline
from lifecycle.features.categories import NUM_CATEGORIES, categories_of
from lifecycle.features.orders import (
    NUM_BUCKETS,
    NUM_LAST_ORDERS,
    WINDOWS_DAYS,
    divided,
    order_features,
    orders_at,
    rhythm_features,
)

# Of a unit of currency or quantity, to which lines are rounded before they are summed.
PARTS = 10_000
MAX_PARTS = 2.0**62
CATEGORY_SHARE = "category_share_"  # of spend, of each of the leading categories
CONTACT_KINDS = tuple(kind for kind in ENCODED_KINDS if kind not in REVENUE_KINDS)
RECENT_DAYS = 91  # of contacts, prices and discounts
MARKETING_KINDS = ("campaign", "redemption", "view", "cart", "search", *EXPOSURE_KINDS)
BTYD_SUMMARY = ("btyd_frequency", "btyd_recency", "btyd_age")  # repeat order days, days, days
FEATURES = (
    *BTYD_SUMMARY, "spend_last_horizon", "orders_last_horizon",
    "recency_days", "tenure_days", "known_days", "num_orders", "num_order_days", "total_spend", "total_discount",
    "mean_order_value", "std_order_value", "max_order_value", "mean_lines", "mean_gap_days", "std_gap_days",
    "recency_over_gap", "year_ago_spend", "year_ago_orders", "num_distinct_items", "num_distinct_categories",
    "total_quantity", "mean_unit_price", f"mean_unit_price_{RECENT_DAYS}d",
    "discounted_lines", "discount_rate", f"discount_rate_{RECENT_DAYS}d",
    *(f"{CATEGORY_SHARE}{place}" for place in range(NUM_CATEGORIES)),
    "total_cancelled", "total_refunded", "total_goods_cost", "total_service_cost", "total_marketing_cost",
    *(f"orders_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_{days}d" for days in WINDOWS_DAYS),
    *(f"spend_bucket_{number}" for number in range(NUM_BUCKETS)),
    *(f"last_order_{number}_value" for number in range(NUM_LAST_ORDERS)),
    *(f"{kind}_{RECENT_DAYS}d" for kind in CONTACT_KINDS),
)  # fmt: skip


def value_features(
    events: pl.DataFrame, cutoffs: pl.DataFrame, horizon_days: int, placed: pl.DataFrame
) -> pl.DataFrame:
    """One row per (customer_id, cutoff) of `cutoffs`, in its order, with the columns FEATURES as float64.

    Amounts in the shop's currency, times in days, shares and rates from 0 to 1. Undefined values (a
    gap with one order) are null. `placed` has the category of items and its place among the leading
    ones, as `placed_items` gives them. Of cancelled lines neither amount nor quantity,
    discount or cost counts, but in total_cancelled and, as it is the last horizon's target,
    spend_last_horizon; their orders do.
    """
    rows, asked, items = timeline(events, cutoffs)
    lines = rows.purchases()
    orders = orders_at(lines, asked)
    found = order_features(orders, asked, horizon_days) | rhythm_features(orders, asked)
    found["recency_over_gap"] = found["recency_days"] / np.maximum(found["mean_gap_days"], 0.5)
    found |= _line_features(lines, asked, items, placed)
    found |= _contact_features(rows, asked) | _cost_features(rows, asked)
    found["known_days"] = _known_days(rows, asked)
    return cutoffs[KEYS].hstack(table_of(FEATURES, [found[name] for name in FEATURES]))


def table_of(names: Sequence[str], columns: Sequence[np.ndarray]) -> pl.DataFrame:
    """Numbers (n,) of each name as float64; NaN is null. In one go: for few rows each column alone takes longest."""
    matrix = np.column_stack(columns).astype(np.float64, copy=False)
    values = pl.Series(matrix.ravel(), nan_to_null=True).reshape(matrix.shape)
    return values.arr.to_struct(names).struct.unnest()


def _known_days(rows: Timeline, cutoffs: Cutoffs) -> np.ndarray:
    """Since the first event of any kind."""
    start = rows.starts(cutoffs)
    is_known = rows.ends(cutoffs) > start
    first = np.append(rows.at, 0)[start]
    return np.where(is_known, age_days(first, cutoffs.at), np.nan)


def _line_features(
    lines: Timeline, cutoffs: Cutoffs, items: pl.Series, placed: pl.DataFrame
) -> dict[str, np.ndarray]:
    """How many units a customer bought and for how much each, how often and by how much cheaper, and of what.

    Arrays (n,) by name. Sums are of whole PARTS, the same in any order and as differences of running
    sums.
    """
    category, leading = categories_of(placed, items)
    last = placed["place"].to_numpy().max(initial=-1)
    amount, quantity, discount = map(_parts, (lines.amount, lines.quantity, lines.discount))
    is_counted = quantity > 0
    windows = _Windows.of(lines, cutoffs)
    counted, counted_lately = windows.sums(np.where(is_counted, amount, 0))
    units, units_lately = windows.sums(np.where(is_counted, quantity, 0))
    cheaper, cheaper_lately = windows.sums(discount)
    spend, spend_lately = windows.sums(amount)
    num_lines, _ = windows.sums(np.ones(len(amount), dtype=np.int64))
    num_cheaper, _ = windows.sums((discount > 0).astype(np.int64))
    place = np.append(leading, -1)[lines.item]
    shares = {}
    for number in range(NUM_CATEGORIES):
        inside, _ = windows.sums(np.where(place == number, amount, 0))
        # No item of the shop is in a category that is not there.
        shares[f"{CATEGORY_SHARE}{number}"] = divided(inside, spend * (number <= last))
    return shares | {
        "total_quantity": units / PARTS,
        "mean_unit_price": divided(counted, units),
        f"mean_unit_price_{RECENT_DAYS}d": divided(counted_lately, units_lately),
        "discounted_lines": divided(num_cheaper, num_lines),
        "discount_rate": divided(cheaper, spend + cheaper),
        f"discount_rate_{RECENT_DAYS}d": divided(cheaper_lately, spend_lately + cheaper_lately),
        "num_distinct_items": _num_distinct(lines, windows, lines.item),
        "num_distinct_categories": _num_distinct(
            lines, windows, np.append(category, -1)[lines.item]
        ),
    }


def _parts(values: np.ndarray) -> np.ndarray:
    parts = np.rint(values * PARTS)
    return np.where(np.abs(parts) < MAX_PARTS, parts, 0).astype(np.int64)


@dataclass(frozen=True)
class _Windows:
    """Where the lines of each cutoff lie, and which of them had been cancelled before it."""

    start: np.ndarray
    recent: np.ndarray
    end: np.ndarray
    cancelled: np.ndarray  # lines, as often as there are cutoffs that they were cancelled before
    cancelled_at: np.ndarray  # that cutoff

    @classmethod
    def of(cls, lines: Timeline, cutoffs: Cutoffs) -> Self:
        """Of purchased lines."""
        gone = np.flatnonzero(lines.cancelled_at < NEVER)
        place, cutoff = lines.where(gone).known(cutoffs)
        is_gone = lines.cancelled_at[gone[place]] < cutoffs.at[cutoff]
        return cls(
            lines.starts(cutoffs),
            lines.ends(cutoffs.days_before(RECENT_DAYS)),
            lines.ends(cutoffs),
            gone[place[is_gone]],
            cutoff[is_gone],
        )

    def sums(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of whole numbers (m,) over the lines that count: all of them, and those of RECENT_DAYS, (n,) both."""
        upto = np.append(0, np.cumsum(values))
        everything = upto[self.end] - upto[self.start]
        recent = upto[self.end] - upto[self.recent]
        lost = values[self.cancelled]
        np.subtract.at(everything, self.cancelled_at, lost)
        is_recent = self.cancelled >= self.recent[self.cancelled_at]
        np.subtract.at(recent, self.cancelled_at[is_recent], lost[is_recent])
        return everything, recent


def _num_distinct(lines: Timeline, windows: _Windows, value: np.ndarray) -> np.ndarray:
    """How many different values, -1 apart, the customer had bought; the first purchase of each decides."""
    given = np.flatnonzero(value >= 0)
    of = lines.customer[given] * (value.max(initial=0) + 1) + value[given]
    _, first = np.unique(of, return_index=True)
    is_first = np.zeros(len(value), dtype=np.int64)
    is_first[given[first]] = 1
    upto = np.append(0, np.cumsum(is_first))
    number: np.ndarray = upto[windows.end] - upto[windows.start]
    return number


def _contact_features(rows: Timeline, cutoffs: Cutoffs) -> dict[str, np.ndarray]:
    """Events other than purchases in the last RECENT_DAYS, by kind."""
    since = cutoffs.days_before(RECENT_DAYS)
    happened = np.bincount(rows.kind, minlength=len(KINDS))
    counts = {}
    for kind in CONTACT_KINDS:
        count = np.zeros(len(cutoffs))
        if happened[KINDS.index(kind)]:
            contacts = rows.of_kinds((kind,))
            count += contacts.ends(cutoffs) - contacts.ends(since)
        counts[f"{kind}_{RECENT_DAYS}d"] = count
    return counts


def _cost_features(rows: Timeline, cutoffs: Cutoffs) -> dict[str, np.ndarray]:
    """Money that went out, positive: refunds, goods (cost of what was bought), service, marketing.

    Service is all that is not one of the others.
    """
    is_refund = rows.kind == KINDS.index("refund")
    costly = rows.where(is_refund | (rows.cost > 0))
    place, cutoff = costly.known(cutoffs)
    is_kept = costly.cancelled_at[place] >= cutoffs.at[cutoff]
    place, cutoff = place[is_kept], cutoff[is_kept]
    cost, kind = costly.cost[place], costly.kind[place]
    is_goods = is_kind(kind, REVENUE_KINDS)
    is_marketing = is_kind(kind, MARKETING_KINDS)
    is_refund = kind == KINDS.index("refund")

    def total(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.bincount(cutoff[chosen], values[chosen], len(cutoffs))

    return {
        "total_refunded": total(-costly.amount[place], is_refund),
        "total_goods_cost": total(cost, is_goods),
        "total_service_cost": total(cost, ~is_goods & ~is_marketing),
        "total_marketing_cost": total(cost, is_marketing),
    }
