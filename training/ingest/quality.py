"""What ingest kept, dropped and found, and the verdict which models these data can support."""

from collections import Counter
from datetime import datetime

import numpy as np
import polars as pl

from lifecycle.events.schema import REVENUE_KINDS, order_key
from lifecycle.names import BTYD_MODELS
from lifecycle.spend.support import LEARNERS, value_model_rules
from training.results.quality import (
    Duplicates,
    ModelSupport,
    Outliers,
    QualityReport,
    Refunds,
    UnknownItems,
)

QUALITY_FILE = "quality.json"
LOG_AMOUNTS = (-4, 10)  # decimal logarithms of the amounts told apart for the outlier fence
BINS_PER_DECADE = 100
ORDER_GROUP_ENDS = (0, 1, 2, 5, 10, 20)
ORDER_GROUPS = ("0", "1", "2", "3-5", "6-10", "11-20", "21+")
SHARD_COUNTERS = (
    "dropped", "kinds", "orders_per_customer", "months", "revenue_by_month", "missing", "unknown_items",
)  # fmt: skip
SHARD_NUMBERS = (
    "num_events", "num_customers", "num_repeat_customers", "num_outliers", "num_equal_events", "num_refunds_matched",
    "num_paid_lines",
)  # fmt: skip


class Quality:
    """Counts that grow while rows stream by; `report` makes of them what quality.json says."""

    def __init__(self) -> None:
        self.sources: dict[str, Counter[str]] = {}
        self.dropped: Counter[str] = Counter()
        self.amounts = np.zeros((LOG_AMOUNTS[1] - LOG_AMOUNTS[0]) * BINS_PER_DECADE, dtype=np.int64)
        self.kinds: Counter[str] = Counter()
        self.orders_per_customer: Counter[str] = Counter()
        self.months: Counter[str] = Counter()
        self.revenue_by_month: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.unknown_items: Counter[str] = (
            Counter()
        )  # lines by item that the given catalogue does not hold
        self.num_events = self.num_customers = self.num_repeat_customers = 0
        self.num_outliers = self.num_equal_events = self.num_conflicting_items = 0
        self.num_refunds_matched = self.num_paid_lines = 0
        self.fence = float("inf")
        self.first_event_at: datetime | None = None
        self.last_event_at: datetime | None = None

    @property
    def num_rows_read(self) -> int:
        """Rows of all sources so far."""
        return sum(counts["rows_read"] for counts in self.sources.values())

    def add_counts(self, source: str, counts: dict[str, int]) -> None:
        """Rows read from a source and dropped by its filters."""
        self.sources.setdefault(source, Counter()).update(counts)
        for reason, number in counts.items():
            if reason != "rows_read":
                self.drop(reason, number)

    def drop(self, reason: str, number: int) -> None:
        """Count rows left out for a reason."""
        if number:
            self.dropped[reason] += number

    def add_amounts(self, rows: pl.DataFrame) -> None:
        """Count purchase amounts by size, for the outlier fence."""
        if "amount" in rows.columns:
            positive = rows.filter(pl.col("kind").is_in(REVENUE_KINDS) & (pl.col("amount") > 0))[
                "amount"
            ].to_numpy()
            bins = np.floor((np.log10(positive) - LOG_AMOUNTS[0]) * BINS_PER_DECADE).astype(
                np.int64
            )
            self.amounts += np.bincount(
                np.clip(bins, 0, len(self.amounts) - 1), minlength=len(self.amounts)
            )

    def outlier_fence(self, spread: float) -> float:
        """The amount `spread` interquartile ranges of log amount above the third quartile; inf without purchases."""
        total = self.amounts.sum()
        if total:
            share = np.cumsum(self.amounts) / total
            low, high = (
                LOG_AMOUNTS[0] + (int(np.searchsorted(share, quartile)) + 1) / BINS_PER_DECADE
                for quartile in (0.25, 0.75)
            )
            self.fence = float(10 ** (high + spread * max(high - low, 0.01)))
        return self.fence

    def add_shard(self, shard: "Quality") -> None:
        """Take in what was counted while one shard was finished."""
        for name in SHARD_COUNTERS:
            getattr(self, name).update(getattr(shard, name))
        for name in SHARD_NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(shard, name))
        if shard.first_event_at and shard.last_event_at:
            self.first_event_at = min(
                shard.first_event_at, self.first_event_at or shard.first_event_at
            )
            self.last_event_at = max(shard.last_event_at, self.last_event_at or shard.last_event_at)

    def set_events(self, events: pl.DataFrame, num_matched: int) -> None:
        """Statistics of the finished events of one shard."""
        if events.is_empty():
            return
        self.num_events = events.height
        self.kinds.update(dict(events["kind"].value_counts().iter_rows()))
        self.num_refunds_matched = num_matched
        self.first_event_at, self.last_event_at = events.select(
            first=pl.col("occurred_at").min(), last=pl.col("occurred_at").max()
        ).row(0)
        self._add_orders(events)
        lacking = events.null_count().row(0, named=True)
        self.missing.update({name: count for name, count in lacking.items() if count})
        purchases = events.filter(pl.col("kind").is_in(REVENUE_KINDS))
        self.num_paid_lines = purchases["amount"].count()
        months = purchases.group_by(pl.col("occurred_at").dt.truncate("1mo")).agg(
            pl.len(), pl.col("amount").sum()
        )
        for month, lines, amount in months.with_columns(
            pl.col("occurred_at").dt.strftime("%Y-%m")
        ).iter_rows():
            self.months[month] += lines
            self.revenue_by_month[month] += amount

    def set_unknown_items(self, item_ids: pl.Series, catalogue: pl.Series) -> None:
        """Lines of one shard whose item is not in the catalogue that the shop gave."""
        unknown = item_ids.filter(~item_ids.is_in(catalogue.implode()))
        self.unknown_items.update(dict(unknown.value_counts().iter_rows()))

    def _add_orders(self, events: pl.DataFrame) -> None:
        is_order = pl.col("kind").is_in(REVENUE_KINDS)
        orders = events.group_by("customer_id").agg(
            order_key().filter(is_order).n_unique().alias("orders"),
            pl.col("occurred_at").filter(is_order).dt.date().n_unique().alias("days"),
        )
        self.num_customers += orders.height
        self.num_repeat_customers += int((orders["days"] > 1).sum())
        groups = np.bincount(
            np.searchsorted(ORDER_GROUP_ENDS, orders["orders"].to_numpy()),
            minlength=len(ORDER_GROUPS),
        )
        self.orders_per_customer.update(dict(zip(ORDER_GROUPS, groups.tolist(), strict=True)))

    def report(self, currency: str, items: pl.DataFrame) -> QualityReport:
        """What quality.json says. Raises ValueError where nothing is left."""
        if self.first_event_at is None or self.last_event_at is None:
            raise ValueError(f"no usable event is left: {dict(self.dropped)}")
        days = (self.last_event_at - self.first_event_at).days + 1
        revenue = sorted(self.revenue_by_month.items())
        return QualityReport(
            num_rows_read=self.num_rows_read,
            num_events=self.num_events,
            num_customers=self.num_customers,
            num_items=items.height,
            currency=currency,
            first_event_at=self.first_event_at.isoformat(),
            last_event_at=self.last_event_at.isoformat(),
            days=days,
            rows_read={path: counts["rows_read"] for path, counts in self.sources.items()},
            rows_kept=self.num_events,
            rows_dropped=dict(self.dropped),
            duplicates=Duplicates(
                dropped_exact=self.dropped["exact_duplicate"],
                dropped_same_id=self.dropped["duplicate_event_id"],
                kept_equal=self.num_equal_events,
            ),
            refunds=Refunds(total=self.kinds["refund"], matched=self.num_refunds_matched),
            outliers=Outliers(
                total=self.num_outliers,
                fence=None if np.isinf(self.fence) else self.fence,
            ),
            events_by_kind=dict(self.kinds.most_common()),
            customers_by_orders={group: self.orders_per_customer[group] for group in ORDER_GROUPS},
            missing_values=dict(self.missing),
            items_without_title=_untitled(items),
            items_with_conflicting_rows=self.num_conflicting_items,
            unknown_to_catalogue=UnknownItems(
                items=len(self.unknown_items), lines=self.unknown_items.total()
            ),
            lines_by_month=dict(sorted(self.months.items())),
            revenue_by_month={month: round(value, 2) for month, value in revenue},
            models=self._verdicts(days, items),
        )

    def _verdicts(self, days: int, items: pl.DataFrame) -> dict[str, ModelSupport]:
        """Which models these data can support, each with the rule and the number that decided."""
        paid = self.num_paid_lines
        titled = items.height - _untitled(items)
        costed = self.num_events - self.missing["cost"]
        rules = {
            "persistence": (paid > 0, f"needs purchases with an amount: {paid} lines"),
            **value_model_rules(self.num_customers, self.num_repeat_customers, days),
            "recommendation": (items.height >= 20, f"needs 20 items: {items.height}"),
            "text_llama_rerank": (titled >= 20, f"needs 20 items with a title: {titled}"),
            "service_cost": (costed > 0, f"needs events with a cost: {costed}"),
        }
        if not paid:
            rules |= dict.fromkeys((*BTYD_MODELS, *LEARNERS), rules["persistence"])
        return {
            name: ModelSupport(supported=bool(holds), reason=reason)
            for name, (holds, reason) in rules.items()
        }


def _untitled(items: pl.DataFrame) -> int:
    return int(items["title"].is_null().sum())
