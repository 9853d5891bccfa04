"""Ids that stand for more than one customer: a till, guests, whoever gave no name."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from training.results.quality import HeavyCustomer

MIN_SHARE = 0.01  # of all orders, or of all lines
TIMES_OTHERS = 5  # what 99 of 100 of the others have at most
MOST_PER_SHARD = 50  # that are looked at, by orders and by lines
SUM_SHARE = 0.1  # of all revenue, from which the name of a sum is taken for a row of sums
SUMS_MATCH = 0.02  # of the others' revenue, to which sums of a longer name must come once, or twice
NAMES_OF_NOBODY = frozenset(
    "guest guestuser guestcustomer guestcheckout gast invité invitado walkin walkincustomer anonymous "
    "anonymoususer anonymouscustomer anon unknown unknowncustomer unbekannt inconnu desconocido cash "
    "cashcustomer cashsale countersale laufkunde barverkauf default defaultcustomer dummy noname "
    "none null nil nan na undefined notset missing".split()
)
# Of pivot tables, and what spreadsheets show where a formula failed.
MARKS_OF_NOBODY = re.compile(
    r"(?i)^(?:\((?:blank|empty|leer|vide|en blanco|vuoto)\)"
    r"|#(?:ref!|bezug!|n/a|nv|name\?|value!|wert!|valeur!|valor!|num!|zahl!|nombre!|div/0!|null!))$"
)
WORDS_OF_SUMS = r"(?:totals?|totale|totaal|totaux|summe?|somme|suma|gesamt|razem|итого|всего|合計|合计|总计|小計|小计)"
SUM = rf"(?i)^(?:grand|sub|sous|gesamt|zwischen)?[\W_]*{WORDS_OF_SUMS}"
NAMES_OF_SUMS = re.compile(SUM + r"[\W_]*$")
# `Subtotal January`, `C042 Total`, or a company.
LONG_NAMES_OF_SUMS = re.compile(rf"{SUM}[\W_].*$|^.+[\W_]{WORDS_OF_SUMS}[\W_]*$")
NO_LETTER = r"[\W_]"
MYSQL_NULL = "\\N"
NUMBERS_OF_NOBODY = re.compile(r"^-?0+$|^-1$|^9{4,}$|^0{8}-(?:0{4}-){3}0{12}$")


@dataclass
class HeavyCustomers:
    """How many orders and lines customers have, and those who have most, over the shards."""

    orders: Counter[int] = field(default_factory=Counter)  # customers by their number of orders
    lines: Counter[int] = field(default_factory=Counter)
    most: list[HeavyCustomer] = field(default_factory=list)
    revenue: float = 0.0  # of all customers

    def add(self, other: "HeavyCustomers") -> None:
        """Take in what one shard has."""
        self.orders.update(other.orders)
        self.lines.update(other.lines)
        self.most += other.most
        self.revenue += other.revenue

    def found(self, given: Collection[str] | None) -> list[HeavyCustomer]:
        """Those with a share that no person has, and those who are set apart, with their shares; most orders first.

        A share is such where it is at least 1 % of all orders, or lines, and five times what 99 of
        100 of the others have at most; with such a share are no others, unless most have it. Set
        apart are the ids `given` by the recipe, and without them the names that mean nobody, 0, -1
        and 9999 with such a share, and names of sums that hold a tenth of the revenue. Longer ones,
        as companies may have, must come to the revenue of all others.
        """
        orders, lines = _Sizes.of(self.orders), _Sizes.of(self.lines)
        are_sums = self._are_sums()
        heavy = []
        for customer in self.most:
            shares = {
                "share_of_orders": orders.share(customer.orders),
                "share_of_lines": lines.share(customer.lines),
            }
            name = customer.customer_id
            is_heavy = orders.is_heavy(customer.orders) or lines.is_heavy(customer.lines)
            is_apart = name in (given or ())
            if given is None:
                is_apart = self._is_apart(customer, is_heavy=is_heavy, are_sums=are_sums)
            if is_heavy or is_apart or self._is_large_sum(customer):
                heavy.append(customer.model_copy(update={**shares, "set_apart": is_apart}))
        return sorted(heavy, key=lambda customer: -customer.orders)

    def _is_apart(self, customer: HeavyCustomer, *, is_heavy: bool, are_sums: bool) -> bool:
        name = customer.customer_id
        if NAMES_OF_SUMS.match(name):
            return self._is_large_sum(customer)
        if LONG_NAMES_OF_SUMS.match(name):
            return are_sums
        letters = re.sub(NO_LETTER, "", name.lower())
        is_number = NUMBERS_OF_NOBODY.match(name) is not None
        is_name = letters in NAMES_OF_NOBODY or not letters or name == MYSQL_NULL
        is_name |= MARKS_OF_NOBODY.match(name) is not None
        return (is_name and not is_number) or (is_number and is_heavy)

    def _is_large_sum(self, customer: HeavyCustomer) -> bool:
        """Whether an id is named as a sum and holds a tenth of the revenue."""
        return _is_sum(customer.customer_id) and customer.revenue >= SUM_SHARE * self.revenue > 0

    def _are_sums(self) -> bool:
        """Whether all ids that are named as sums come to the revenue of all others, once or several times."""
        named = {
            customer.customer_id: customer.revenue
            for customer in self.most
            if _is_sum(customer.customer_id)
        }
        others = self.revenue - sum(named.values())
        times = sum(named.values()) / others if others > 0 else 0.0
        return times > 0.5 and abs(times - round(times)) <= SUMS_MATCH


def _is_sum(name: str) -> bool:
    return any(pattern.match(name) for pattern in (NAMES_OF_SUMS, LONG_NAMES_OF_SUMS))


@dataclass(frozen=True)
class _Sizes:
    """How many customers have each number of orders, or of lines."""

    counts: Counter[int]
    total: int  # orders, or lines, of all

    @classmethod
    def of(cls, counts: Counter[int]) -> "_Sizes":
        total = sum(size * customers for size, customers in counts.items())
        return cls(counts, max(total, 1))

    def share(self, number: int) -> float:
        """What a customer with this number has of all."""
        return number / self.total

    def is_heavy(self, number: int) -> bool:
        """Whether no person has so many."""
        if self.share(number) < MIN_SHARE:
            return False
        light = Counter(
            {size: n for size, n in self.counts.items() if self.share(size) < MIN_SHARE}
        )
        is_most = 2 * light.total() > self.counts.total()
        others = light if is_most else self.counts - Counter({number: 1})
        if not others:
            return False
        sizes = np.array(sorted(others))
        share = np.cumsum([others[size] for size in sizes]) / others.total()
        return number >= TIMES_OTHERS * int(sizes[np.searchsorted(share, 0.99)])


def heavy_customers(
    by_day: pl.DataFrame, buyers: pl.DataFrame, customers: pl.Series, given: Collection[str] | None
) -> HeavyCustomers:
    """What one shard says; the ids of the recipe and those of nobody are always among `most`.

    `by_day` and `buyers` are those of `order_days` and `orders_of_customers`; `customers` are all ids.
    """
    counted = buyers.select("customer_id", "orders", "lines")
    parts = [counted.top_k(MOST_PER_SHARD, by=name) for name in ("orders", "lines")]
    of_nobody = (
        _of_nobody(customers, given).join(counted, on="customer_id", how="left").fill_null(0)
    )
    most = pl.concat([*parts, of_nobody]).unique(maintain_order=True)
    a_day = (
        by_day.join(most, on="customer_id", how="semi")
        .group_by("customer_id", "day")
        .agg(pl.len().alias("orders"), pl.col("amount").sum())
    )
    facts = a_day.group_by("customer_id").agg(
        days=pl.len(), most_orders_a_day=pl.col("orders").max(), revenue=pl.col("amount").sum()
    )
    rows = most.join(facts, on="customer_id", how="left").fill_null(0).iter_rows(named=True)
    return HeavyCustomers(
        orders=Counter(buyers["orders"].to_list()),
        lines=Counter(buyers["lines"].to_list()),
        most=[HeavyCustomer.model_validate(row) for row in rows],
        revenue=float(by_day["amount"].sum()),
    )


def _of_nobody(customers: pl.Series, given: Collection[str] | None) -> pl.DataFrame:
    """The ids that the recipe names, and those that mean nobody or a sum."""
    lowered = pl.col("customer_id").str.to_lowercase().str.replace_all(NO_LETTER, "")
    is_named = lowered.is_in([*NAMES_OF_NOBODY, ""])
    for pattern in (MARKS_OF_NOBODY, NAMES_OF_SUMS, LONG_NAMES_OF_SUMS):
        is_named |= pl.col("customer_id").str.contains(pattern.pattern)
    is_given = pl.col("customer_id").is_in([*(given or ()), MYSQL_NULL])
    return customers.to_frame().filter(is_named | is_given)
