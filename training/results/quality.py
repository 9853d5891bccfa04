"""quality.json as a type: ingest writes it, quality.html shows it."""

from lifecycle.config import Config
from training.results.orders import (
    AmountsByQuantity,
    LongOrders,
    OrdersOfFiles,
    RepeatedAmounts,
)
from training.results.sums import Summed


class Duplicates(Config):
    """Rows that came twice: left out, or equal and kept."""

    dropped_exact: int
    dropped_same_id: int
    kept_equal: int
    kept_equal_revenue: float = 0.0  # of the purchases among them


class Refunds(Config):
    """Refunds, and those of which the purchase is known."""

    total: int
    matched: int


class Outliers(Config):
    """Lines above the fence, an amount; None without purchases."""

    total: int
    fence: float | None
    revenue: float = 0.0  # of such purchases, before they were clipped or dropped


class UnknownItems(Config):
    """Items that the given catalogue does not hold, and their lines."""

    items: int
    lines: int


class Matches(Summed):
    """Rows that name something in another table, and those whose name it has."""

    rows: int = 0
    matched: int = 0

    @property
    def share(self) -> float:
        """1 where no row names anything."""
        return self.matched / self.rows if self.rows else 1.0


class Money(Summed):
    """What rows come to, in the shop's currency."""

    rows: int = 0
    purchases: float = 0.0  # purchases and renewals
    refunds: float = 0.0  # negative
    without_amount: int = 0  # rows that neither bring nor take back an amount


class TableRows(Config):
    """Rows of a table of items, customers, rates or a lookup: kept and dropped together are what was read."""

    read: int
    kept: int
    dropped: dict[str, int] = {}  # by reason


class MoneyAccount(Config):
    """Kept and dropped together are what was read: rows, purchases and refunds."""

    read: Money = Money()
    kept: Money = Money()
    dropped: dict[str, Money] = {}  # by reason


class HeavyCustomer(Config):
    """An id with a share of orders that no person has, or one that means nobody."""

    customer_id: str
    orders: int
    lines: int
    revenue: float
    days: int  # with a purchase
    most_orders_a_day: int
    share_of_orders: float = 0.0  # of the whole shop's
    share_of_lines: float = 0.0
    set_apart: bool = False  # its rows are left out


class AlikeIds(Config):
    """Ids that differ from others only in capital letters, zeros in front, blanks or marks."""

    ids: int = 0
    example: tuple[str, ...] = ()


class SourceCustomers(Summed):
    """Customers of a source without purchases, and those of them who bought by another."""

    customers: int = 0
    buyers: int = 0


class FarDates(Config):
    """Rows whose dates lie far from all others; they count nowhere else."""

    rows: int = 0
    revenue: float = 0.0
    first_at: str | None = None
    last_at: str | None = None

    def plus(self, other: "FarDates") -> "FarDates":
        """Both together."""
        return FarDates(
            rows=self.rows + other.rows,
            revenue=self.revenue + other.revenue,
            first_at=min(filter(None, (self.first_at, other.first_at)), default=None),
            last_at=max(filter(None, (self.last_at, other.last_at)), default=None),
        )


class SalesGap(Config):
    """Weeks without a purchase in a shop that sold before and after; both days, as 2024-01-31, are within."""

    first: str
    last: str
    days: int


class ModelSupport(Config):
    """Whether the data can support a model: the rule, and the number that decided."""

    supported: bool
    reason: str


class QualityReport(Config):
    """What ingest kept, dropped and found, and which models these data can support."""

    num_rows_read: int
    num_events: int
    num_customers: int
    num_items: int
    currency: str
    first_event_at: str
    last_event_at: str
    days: int
    rows_read: dict[str, int]  # by source
    rows_kept: int
    rows_dropped: dict[str, int]  # by reason
    duplicates: Duplicates
    refunds: Refunds
    outliers: Outliers
    events_by_kind: dict[str, int]
    customers_by_orders: dict[str, int]
    missing_values: dict[str, int]  # by column
    items_without_title: int
    items_with_conflicting_rows: int
    unknown_to_catalogue: UnknownItems
    lines_by_month: dict[str, int]
    revenue_by_month: dict[str, float]
    models: dict[str, ModelSupport]
    # What earlier reports do not have.
    matches: dict[str, Matches] = {}  # by table: `lookup PATH`, customers, items
    far_dates: FarDates = FarDates()
    account: MoneyAccount = MoneyAccount()
    tables: dict[str, TableRows] = {}  # beside the sources: items, customers, rates, `lookup PATH`
    currencies: dict[str, Money] = {}  # where sources map one: what came in each, in the shop's
    heavy_customers: tuple[HeavyCustomer, ...] = ()
    orders_half_dropped: dict[str, int] = {}  # that lost lines while others stay, by reason
    alike_ids: AlikeIds = AlikeIds()
    long_orders: LongOrders = LongOrders()
    orders_of_files: OrdersOfFiles = OrdersOfFiles()
    repeated_amounts: RepeatedAmounts = RepeatedAmounts()
    repeated_values: dict[str, RepeatedAmounts] = {}  # the same of `discount` and `cost`
    # Of `orders` and `customers` with three lines or more: those with a line that is the sum of all others.
    with_sums: dict[str, Matches] = {}
    # Lines that are orders of their own, and those at one instant of a customer with another.
    at_one_time: Matches = Matches()
    total_discount: float = 0.0
    total_cost: float = 0.0
    amounts_by_quantity: AmountsByQuantity = AmountsByQuantity()
    orders_of_sources: dict[str, Matches] = {}  # by path: orders that sources before tell, too
    refunds_named: int = 0  # that name an order or an item
    replaced_items: int = 0  # rows that one of another item replaced, under one event_id
    money_of_other_kinds: dict[str, float] = {}  # amounts of what is no purchase, renewal or refund
    # Payments that cover the days of a plan, and those among them of amount 0.
    free_plans: Matches = Matches()
    # Renewals, and those of which nobody knows how long they last.
    unplanned_renewals: Matches = Matches()
    customers_of_sources: dict[str, SourceCustomers] = {}  # by path
    amounts_as_zero: int = (
        0  # of purchases, renewals and refunds that had none, under missing.amount: zero
    )
    gaps: tuple[SalesGap, ...] = ()  # that no other year is known to have, too
    files_not_read: tuple[str, ...] = ()  # of the sources' folders
    warnings: tuple[str, ...] = ()  # every line that the log warned of
