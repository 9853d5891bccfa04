"""What ingest keeps, leaves out and finds while it finishes the shards of the events."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
import polars as pl

from lifecycle.events.schema import REVENUE_KINDS, is_purchase
from lifecycle.features.numbers import MARKETING_KINDS
from training.ingest.quality.account import Account, money_of
from training.ingest.quality.alike_ids import form_hashes
from training.ingest.quality.heavy_customers import HeavyCustomers, heavy_customers
from training.ingest.quality.orders.days import orders_of_customers
from training.results.orders import AmountsByQuantity, LongOrders, OrdersOfFiles, RepeatedAmounts
from training.results.quality import AlikeIds, FarDates, HeavyCustomer, Matches, SourceCustomers
from training.results.sums import add_each

ORDER_GROUP_ENDS = (0, 1, 2, 5, 10, 20)
ORDER_GROUPS = ("0", "1", "2", "3-5", "6-10", "11-20", "21+")


@dataclass
class ShardCounts:
    """Counts of one shard, or of several by `add`."""

    account: Account = field(default_factory=Account)
    kinds: Counter[str] = field(default_factory=Counter)
    orders_per_customer: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
    revenue_by_month: Counter[str] = field(default_factory=Counter)
    buyers_by_day: Counter[date] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    unknown_items: Counter[str] = field(default_factory=Counter)  # lines the catalogue has not
    orders_half_dropped: Counter[str] = field(default_factory=Counter)  # by reason
    item_matches: Matches | None = None  # lines whose item the given catalogue has
    customer_matches: Matches | None = None  # customers that the given table has
    heavy: HeavyCustomers = field(default_factory=HeavyCustomers)
    far_dates: FarDates = field(default_factory=FarDates)
    long_orders: LongOrders = field(default_factory=LongOrders)
    orders_of_files: OrdersOfFiles = field(default_factory=OrdersOfFiles)
    repeated_amounts: RepeatedAmounts = field(default_factory=RepeatedAmounts)
    repeated_values: dict[str, RepeatedAmounts] = field(default_factory=dict)
    amounts_by_quantity: AmountsByQuantity = field(default_factory=AmountsByQuantity)
    orders_of_sources: dict[int, Matches] = field(default_factory=dict)  # by number
    at_one_time: Matches = field(default_factory=Matches)
    with_sums: dict[str, Matches] = field(default_factory=dict)  # orders, customers
    total_discount: float = 0.0
    total_cost: float = 0.0
    num_service_costs: int = 0
    money_of_other_kinds: Counter[str] = field(default_factory=Counter)
    free_plans: Matches = field(default_factory=Matches)  # payments of plans, and those of amount 0
    # Renewals, and those without plan_days.
    unplanned_renewals: Matches = field(default_factory=Matches)
    id_forms: list[np.ndarray] = field(default_factory=list)  # see `alike_ids`
    of_sources: dict[int, SourceCustomers] = field(default_factory=dict)  # by number
    num_events: int = 0
    num_customers: int = 0
    num_repeat_customers: int = 0
    num_outliers: int = 0
    outlier_revenue: float = 0.0  # of purchases, before the rule was applied
    num_equal_events: int = 0
    equal_revenue: float = 0.0  # of purchases among them
    num_replaced_items: int = 0  # rows that one of another item replaced, under one event_id
    num_refunds_matched: int = 0
    num_refunds_named: int = 0
    num_paid_lines: int = 0
    first_event_at: datetime | None = None
    last_event_at: datetime | None = None

    def add(self, other: "ShardCounts") -> None:
        """Take in the counts of one more shard."""
        self.account.add(other.account)
        self.kinds.update(other.kinds)
        self.orders_per_customer.update(other.orders_per_customer)
        self.months.update(other.months)
        self.revenue_by_month.update(other.revenue_by_month)
        self.buyers_by_day.update(other.buyers_by_day)
        self.missing.update(other.missing)
        self.unknown_items.update(other.unknown_items)
        self.orders_half_dropped.update(other.orders_half_dropped)
        self.item_matches = _together(self.item_matches, other.item_matches)
        self.customer_matches = _together(self.customer_matches, other.customer_matches)
        self.heavy.add(other.heavy)
        self.far_dates = self.far_dates.plus(other.far_dates)
        self.long_orders = self.long_orders.plus(other.long_orders)
        self.orders_of_files = self.orders_of_files.plus(other.orders_of_files)
        self.repeated_amounts = self.repeated_amounts.plus(other.repeated_amounts)
        add_each(self.repeated_values, other.repeated_values)
        self.amounts_by_quantity = self.amounts_by_quantity.plus(other.amounts_by_quantity)
        add_each(self.orders_of_sources, other.orders_of_sources)
        add_each(self.with_sums, other.with_sums)
        self.at_one_time = self.at_one_time.plus(other.at_one_time)
        self.total_discount += other.total_discount
        self.total_cost += other.total_cost
        self.num_service_costs += other.num_service_costs
        self.money_of_other_kinds.update(other.money_of_other_kinds)
        self.free_plans = self.free_plans.plus(other.free_plans)
        self.unplanned_renewals = self.unplanned_renewals.plus(other.unplanned_renewals)
        self.id_forms += other.id_forms
        add_each(self.of_sources, other.of_sources)
        self.num_events += other.num_events
        self.num_customers += other.num_customers
        self.num_repeat_customers += other.num_repeat_customers
        self.num_outliers += other.num_outliers
        self.outlier_revenue += other.outlier_revenue
        self.num_equal_events += other.num_equal_events
        self.equal_revenue += other.equal_revenue
        self.num_replaced_items += other.num_replaced_items
        self.num_refunds_matched += other.num_refunds_matched
        self.num_refunds_named += other.num_refunds_named
        self.num_paid_lines += other.num_paid_lines
        if other.first_event_at is not None and other.last_event_at is not None:
            first = self.first_event_at or other.first_event_at
            last = self.last_event_at or other.last_event_at
            self.first_event_at = min(first, other.first_event_at)
            self.last_event_at = max(last, other.last_event_at)

    def add_far_dates(self, rows: pl.DataFrame) -> None:
        """Count rows of one shard whose dates lie far from all others."""
        if rows.height:
            at = rows["occurred_at"].sort()
            revenue = rows.filter(is_purchase())["amount"].sum()
            ends = (at[0].isoformat(), at[-1].isoformat())
            self.far_dates = self.far_dates.plus(
                FarDates(rows=rows.height, revenue=revenue, first_at=ends[0], last_at=ends[1])
            )

    def add_equal(self, events: pl.DataFrame) -> None:
        """Count events that equal an earlier one, and are kept."""
        self.num_equal_events += events.height
        self.equal_revenue += float(events.filter(is_purchase())["amount"].sum())

    def set_events(
        self,
        events: pl.DataFrame,
        by_day: pl.DataFrame,
        num_matched: int,
        shared_ids: Collection[str] | None = None,
    ) -> None:
        """Statistics of the finished events of one shard, and of their `order_days`; `shared_ids` are the recipe's."""
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
        self.total_discount = float(events["discount"].sum())
        self.total_cost = float(events["cost"].sum())
        is_service = ~pl.col("kind").is_in((*REVENUE_KINDS, *MARKETING_KINDS))
        self.num_service_costs = events.filter(is_service & pl.col("cost").is_not_null()).height
        is_named = pl.col("order_id").is_not_null() | pl.col("item_id").is_not_null()
        self.num_refunds_named = events.filter((pl.col("kind") == "refund") & is_named).height
        others = events.filter(~is_purchase() & (pl.col("kind") != "refund"))
        amounts = others.group_by("kind").agg(pl.col("amount").sum())
        self.money_of_other_kinds.update(dict(amounts.filter(pl.col("amount") != 0).iter_rows()))
        plans = events.filter(is_purchase() & pl.col("plan_days").is_not_null())["amount"]
        self.free_plans = Matches(rows=plans.len(), matched=int((plans == 0).sum()))
        plan_days = events.filter(pl.col("kind") == "renewal")["plan_days"]
        self.unplanned_renewals = Matches(rows=plan_days.len(), matched=plan_days.null_count())
        lacking = events.drop("shop_day").null_count().row(0, named=True)
        self.missing.update({name: count for name, count in lacking.items() if count})
        customers = events["customer_id"].unique()
        self.id_forms = [form_hashes(customers)]
        self._set_orders(by_day, customers, shared_ids)
        self._set_months(by_day)

    def count_sources(self, customers: pl.DataFrame, buyers: pl.Series) -> None:
        """Of `customers_without_purchases` of each source, how many there are and how many are among the buyers."""
        is_buyer = pl.col("customer_id").is_in(buyers.implode())
        counted = customers.group_by("source").agg(pl.len(), is_buyer.sum())
        for number, num_customers, num_buyers in counted.iter_rows():
            found = SourceCustomers(customers=num_customers, buyers=num_buyers)
            self.of_sources[number] = found

    def match_items(self, item_ids: pl.Series, catalogue: pl.Series) -> None:
        """Lines of this shard whose item is in the catalogue that the shop gave, and what the others name."""
        unknown = item_ids.filter(~item_ids.is_in(catalogue.implode()))
        self.item_matches = Matches(rows=item_ids.len(), matched=item_ids.len() - unknown.len())
        self.unknown_items.update(dict(unknown.value_counts().iter_rows()))

    def match_customers(self, customer_ids: pl.Series, table: pl.Series) -> None:
        """Customers of this shard that the table of customers has."""
        customers = customer_ids.unique()
        num_known = int(customers.is_in(table.implode()).sum())
        self.customer_matches = Matches(rows=customers.len(), matched=num_known)

    def _set_orders(
        self, by_day: pl.DataFrame, customers: pl.Series, shared_ids: Collection[str] | None
    ) -> None:
        buyers = orders_of_customers(by_day)
        self.heavy = heavy_customers(by_day, buyers, customers, shared_ids)
        self.num_customers = customers.len()
        # The lines of one order may have several days.
        came_again = (buyers["orders"] > 1) & (buyers["days"] > 1)
        self.num_repeat_customers = int(came_again.sum())
        group = np.searchsorted(ORDER_GROUP_ENDS, buyers["orders"].to_numpy())
        sizes = np.bincount(group, minlength=len(ORDER_GROUPS)).tolist()
        sizes[0] = customers.len() - buyers.height
        self.orders_per_customer.update(dict(zip(ORDER_GROUPS, sizes, strict=True)))

    def _set_months(self, by_day: pl.DataFrame) -> None:
        self.num_paid_lines = int(by_day["paid"].sum())
        month = pl.col("day").dt.strftime("%Y-%m").alias("month")
        days = by_day.group_by("day").agg(
            pl.col("lines", "amount").sum(), pl.col("customer_id").n_unique().alias("buyers")
        )
        self.buyers_by_day.update(dict(days.select("day", "buyers").iter_rows()))
        months = days.with_columns(month)
        for name, lines, amount in months.select("month", "lines", "amount").iter_rows():
            self.months[name] += lines
            self.revenue_by_month[name] += amount


@dataclass(frozen=True)
class Finished:
    """What all shards together have."""

    counts: ShardCounts
    fence: float  # of outliers
    heavy: tuple[HeavyCustomer, ...] = ()  # before any of them was set apart
    alike: AlikeIds = AlikeIds()


def customers_without_purchases(rows: pl.DataFrame, source: str) -> pl.DataFrame:
    """`source` and customer_id of the customers of sources that have no purchases; `source` has numbers."""
    selling = rows.lazy().filter(is_purchase()).select(pl.col(source).unique()).collect()
    others = rows.lazy().filter(~pl.col(source).is_in(selling.to_series().implode()))
    return others.select(pl.col(source).alias("source"), "customer_id").unique().collect()


def _together(one: Matches | None, other: Matches | None) -> Matches | None:
    if one is None or other is None:
        return one or other
    return one.plus(other)
