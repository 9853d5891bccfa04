"""What ingest read, kept, dropped and found, counted while the rows stream by."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import polars as pl

from lifecycle.events.schema import is_purchase, order_key
from training.ingest.quality.account import Account, money_of
from training.ingest.quality.dropped_orders import DroppedOrders
from training.ingest.quality.heavy_customers import HeavyCustomers, heavy_customers
from training.results.quality import FarDates, HeavyCustomer, Matches, Money, TableRows

SMALLEST_LOG_AMOUNT = -4  # decimal logarithms of the amounts told apart for the outlier fence
LARGEST_LOG_AMOUNT = 10
BINS_PER_DECADE = 100
NUM_BINS = (LARGEST_LOG_AMOUNT - SMALLEST_LOG_AMOUNT) * BINS_PER_DECADE
ORDER_GROUP_ENDS = (0, 1, 2, 5, 10, 20)
ORDER_GROUPS = ("0", "1", "2", "3-5", "6-10", "11-20", "21+")


@dataclass
class QualityCounts:
    """Counts of all sources, or of one shard while it is finished; `add_shard` brings them together."""

    # While rows are read.
    rows_read: Counter[str] = field(default_factory=Counter)  # by source
    amounts: np.ndarray = field(default_factory=lambda: np.zeros(NUM_BINS, dtype=np.int64))
    fence: float = float("inf")
    matches: dict[str, Matches] = field(default_factory=dict)
    dropped_orders: DroppedOrders = field(default_factory=DroppedOrders)
    currencies: dict[str, Money] = field(default_factory=dict)
    heavy_found: list[HeavyCustomer] = field(default_factory=list)  # of all shards together
    files_not_read: list[str] = field(default_factory=list)
    tables: dict[str, TableRows] = field(default_factory=dict)
    num_conflicting_items: int = 0
    days: Counter[date] = field(default_factory=Counter)  # rows that have a customer and a time
    account: Account = field(
        default_factory=Account
    )  # both while rows are read and shards finished
    # While a shard is finished.
    kinds: Counter[str] = field(default_factory=Counter)
    orders_per_customer: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
    revenue_by_month: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    unknown_items: Counter[str] = field(default_factory=Counter)  # lines the catalogue has not
    heavy: HeavyCustomers = field(default_factory=HeavyCustomers)
    orders_half_dropped: Counter[str] = field(default_factory=Counter)  # by reason
    num_events: int = 0
    num_customers: int = 0
    num_repeat_customers: int = 0
    num_outliers: int = 0
    num_equal_events: int = 0
    num_refunds_matched: int = 0
    num_paid_lines: int = 0
    far_dates: FarDates = field(default_factory=FarDates)
    first_event_at: datetime | None = None
    last_event_at: datetime | None = None

    def add_read(
        self, source: str, kept: pl.DataFrame, left_out: Mapping[str, pl.DataFrame]
    ) -> None:
        """Enter rows read from a source: those that its filters keep, and the others by reason."""
        for reason, rows in left_out.items():
            self.leave_out(reason, rows)
        parts = [money_of(rows) for rows in (kept, *left_out.values())]
        self.rows_read[source] += sum(part.rows for part in parts)
        for part in parts:
            self.account.read = self.account.read.plus(part)

    def leave_out(self, reason: str, rows: pl.DataFrame) -> None:
        """Enter rows that are left out while they are read, and the orders that lose them."""
        self.account.drop(reason, rows)
        self.dropped_orders.add(reason, rows)

    def set_table(self, name: str, num_read: int, kept: int, left_out: Counter[str]) -> None:
        """Enter a table that is read at once; every row is kept, or left out for a reason."""
        assert num_read == kept + left_out.total(), (name, num_read, kept, left_out)
        dropped = {reason: count for reason, count in left_out.items() if count}
        self.tables[name] = TableRows(read=num_read, kept=kept, dropped=dropped)

    def add_currencies(self, found: Mapping[str, Money]) -> None:
        """Count the money of each currency, in the shop's."""
        for code, money in found.items():
            self.currencies[code] = self.currencies.get(code, Money()).plus(money)

    def add_matches(self, table: str, rows: int, matched: int) -> None:
        """Count rows that name something in another table, and those whose name it has."""
        before = self.matches.get(table, Matches(rows=0, matched=0))
        self.matches[table] = Matches(rows=before.rows + rows, matched=before.matched + matched)

    def limit_matches(self, table: str, rows: int) -> None:
        """Where a table has fewer rows than there are names, as many as it has can be found at most."""
        found = self.matches[table]
        self.matches[table] = Matches(rows=min(rows, found.rows), matched=found.matched)

    def add_amounts(self, rows: pl.DataFrame) -> None:
        """Count purchase amounts by size, for the outlier fence."""
        if "amount" not in rows.columns:
            return
        positive = rows.filter(is_purchase() & (pl.col("amount") > 0))["amount"].to_numpy()
        bins = np.floor((np.log10(positive) - SMALLEST_LOG_AMOUNT) * BINS_PER_DECADE)
        inside = np.clip(bins.astype(np.int64), 0, NUM_BINS - 1)
        self.amounts += np.bincount(inside, minlength=NUM_BINS)

    def add_far_dates(self, rows: pl.DataFrame) -> None:
        """Count rows of one shard whose dates lie far from all others."""
        if rows.height:
            at = rows["occurred_at"].sort()
            revenue = rows.filter(is_purchase())["amount"].sum()
            ends = (at[0].isoformat(), at[-1].isoformat())
            self.far_dates = self.far_dates.plus(
                FarDates(rows=rows.height, revenue=revenue, first_at=ends[0], last_at=ends[1])
            )

    def outlier_fence(self, spread: float) -> float:
        """The amount `spread` interquartile ranges of log amount above the third quartile; inf without purchases."""
        if self.amounts.sum():
            low = self._log_amount(0.25)
            high = self._log_amount(0.75)
            self.fence = float(10 ** (high + spread * max(high - low, 0.01)))
        return self.fence

    def _log_amount(self, quantile: float) -> float:
        share = np.cumsum(self.amounts) / self.amounts.sum()
        num_bins = int(np.searchsorted(share, quantile)) + 1
        return SMALLEST_LOG_AMOUNT + num_bins / BINS_PER_DECADE

    def add_shard(self, shard: "QualityCounts") -> None:
        """Take in what was counted while one shard was finished."""
        self.account.add(shard.account)
        for table, found in shard.matches.items():
            self.add_matches(table, found.rows, found.matched)
        self.kinds.update(shard.kinds)
        self.orders_per_customer.update(shard.orders_per_customer)
        self.months.update(shard.months)
        self.revenue_by_month.update(shard.revenue_by_month)
        self.missing.update(shard.missing)
        self.unknown_items.update(shard.unknown_items)
        self.heavy.add(shard.heavy)
        self.orders_half_dropped.update(shard.orders_half_dropped)
        self.num_events += shard.num_events
        self.num_customers += shard.num_customers
        self.num_repeat_customers += shard.num_repeat_customers
        self.num_outliers += shard.num_outliers
        self.num_equal_events += shard.num_equal_events
        self.num_refunds_matched += shard.num_refunds_matched
        self.num_paid_lines += shard.num_paid_lines
        self.far_dates = self.far_dates.plus(shard.far_dates)
        if shard.first_event_at is not None and shard.last_event_at is not None:
            first = self.first_event_at or shard.first_event_at
            last = self.last_event_at or shard.last_event_at
            self.first_event_at = min(first, shard.first_event_at)
            self.last_event_at = max(last, shard.last_event_at)

    def set_events(
        self, events: pl.DataFrame, num_matched: int, shared_ids: Collection[str] | None = None
    ) -> None:
        """Statistics of the finished events of one shard; `shared_ids` are those of the recipe."""
        if events.is_empty():
            return
        self.account.kept = money_of(events)
        at = pl.col("occurred_at")
        self.num_events = events.height
        self.num_refunds_matched = num_matched
        self.first_event_at, self.last_event_at = events.select(first=at.min(), last=at.max()).row(
            0
        )
        self.kinds.update(dict(events["kind"].value_counts().iter_rows()))
        lacking = events.null_count().row(0, named=True)
        self.missing.update({name: count for name, count in lacking.items() if count})
        self._set_orders(events, shared_ids)
        self._set_months(events.filter(is_purchase()))

    def set_unknown_items(self, item_ids: pl.Series, catalogue: pl.Series) -> None:
        """Lines of one shard whose item is not in the catalogue that the shop gave."""
        unknown = item_ids.filter(~item_ids.is_in(catalogue.implode()))
        self.add_matches("items", item_ids.len(), item_ids.len() - unknown.len())
        self.unknown_items.update(dict(unknown.value_counts().iter_rows()))

    def _set_orders(self, events: pl.DataFrame, shared_ids: Collection[str] | None) -> None:
        day = pl.col("occurred_at").dt.date()
        orders = events.group_by("customer_id").agg(
            order_key().filter(is_purchase()).n_unique().alias("orders"),
            day.filter(is_purchase()).n_unique().alias("days"),
            is_purchase().sum().alias("lines"),
        )
        self.heavy = heavy_customers(events, orders, shared_ids)
        self.num_customers = orders.height
        self.num_repeat_customers = int((orders["days"] > 1).sum())
        group = np.searchsorted(ORDER_GROUP_ENDS, orders["orders"].to_numpy())
        sizes = np.bincount(group, minlength=len(ORDER_GROUPS)).tolist()
        self.orders_per_customer.update(dict(zip(ORDER_GROUPS, sizes, strict=True)))

    def _set_months(self, purchases: pl.DataFrame) -> None:
        self.num_paid_lines = purchases["amount"].count()
        months = purchases.group_by(pl.col("occurred_at").dt.truncate("1mo")).agg(
            pl.len(), pl.col("amount").sum()
        )
        named = months.with_columns(pl.col("occurred_at").dt.strftime("%Y-%m"))
        for month, lines, amount in named.iter_rows():
            self.months[month] += lines
            self.revenue_by_month[month] += amount
