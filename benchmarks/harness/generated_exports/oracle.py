"""What ingest must make of an export, from the rows that were drawn: plain sums, none of the product's code."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from benchmarks.harness.generated_exports.events import Event
from benchmarks.harness.generated_exports.export import Export
from benchmarks.harness.generated_exports.rows import KEPT, Row

REVENUE = ("purchase", "renewal")
ORDER_GROUPS = {"1": (1, 1), "2": (2, 2), "3-5": (3, 5), "6-10": (6, 10), "11-20": (11, 20)}


@dataclass(frozen=True)
class Line:
    """An event as it must stand in `events/`; numbers as floats, which are compared to nine digits."""

    customer_id: str
    at: datetime
    kind: str
    order_id: str | None
    item_id: str | None
    text: str | None
    event_id: str | None  # None: derived
    numbers: tuple[float | None, ...]  # quantity, amount, discount, cost, rating


@dataclass
class Sums:
    """Rows and money of a part of the account."""

    rows: int = 0
    purchases: Decimal = Decimal(0)
    refunds: Decimal = Decimal(0)


@dataclass
class Expected:
    """All that is compared; money in the shop's currency."""

    lines: list[Line] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    read: Sums = field(default_factory=Sums)
    kept: Sums = field(default_factory=Sums)
    dropped: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    rows_read: dict[str, int] = field(default_factory=dict)
    revenue_by_customer: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    lines_by_customer: Counter[str] = field(default_factory=Counter)
    orders_by_customer: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    num_equal: int | None = None  # kept events that equal an earlier one; None: not told
    matches: dict[str, tuple[int, int]] = field(default_factory=dict)  # by source: keys, found


def expected_of(export: Export) -> Expected:
    """The sums of an export."""
    expected = Expected()
    for path, source in export.rows.items():
        rows = source.all()
        expected.rows_read[path] = len(rows)
        for row in rows:
            _enter(expected, row, export, ZoneInfo(source.zone))
        if path in export.lookups:
            asked = [row for row in rows if row.event.card is not None and not _is_filtered(row)]
            known = sum(row.event.card in export.lookups[path] for row in asked)
            expected.matches[path] = (len(asked), known)
    if all(line.event_id is None for line in expected.lines):
        expected.num_equal = _num_equal(expected.lines)
    return expected


def _is_filtered(row: Row) -> bool:
    return row.fate.startswith("filter") or row.fate == "in_earlier_file"


def _enter(expected: Expected, row: Row, export: Export, zone: ZoneInfo) -> None:
    event = row.event
    amount = export.rules.worth(event, event.amount)
    part = expected.kept if row.fate == KEPT else expected.dropped[row.fate]
    for sums in (expected.read, part):
        sums.rows += 1
        if event.kind in REVENUE:
            sums.purchases += amount or 0
        elif event.kind == "refund":
            sums.refunds += amount or 0
    if row.fate != KEPT:
        return
    assert event.customer_id is not None and event.at is not None
    expected.kinds[event.kind] += 1
    expected.lines_by_customer[event.customer_id] += 1
    if event.kind in REVENUE:
        expected.revenue_by_customer[event.customer_id] += amount or 0
        order = event.order_id or event.at.astimezone(zone).date().isoformat()
        expected.orders_by_customer[event.customer_id].add(order)
    expected.lines.append(_line(event, export))


def _line(event: Event, export: Export) -> Line:
    assert event.customer_id is not None and event.at is not None
    worth = export.rules.worth
    amount = worth(event, event.amount)
    if amount is None and event.kind in REVENUE:
        amount = Decimal(0)  # `missing.amount: zero`; otherwise the row is not kept
    money = (amount, worth(event, event.discount), worth(event, event.cost))
    numbers = (event.quantity, *money, event.rating)
    return Line(
        event.customer_id,
        event.at,
        event.kind,
        event.order_id,
        event.item_id,
        event.text.strip() if event.text else None,
        event.event_id,
        tuple(None if number is None else float(number) for number in numbers),
    )


def _num_equal(lines: list[Line]) -> int | None:
    """None where some lines are equal in what they are but not in all."""
    distinct = len(set(lines))
    alike = {
        (line.customer_id, line.at, line.kind, line.order_id, line.item_id, line.numbers[1])
        for line in lines
    }
    return len(lines) - distinct if len(alike) == distinct else None


def order_groups(expected: Expected) -> dict[str, int]:
    """Customers by their number of orders, as quality.json groups them."""
    groups = dict.fromkeys(("0", *ORDER_GROUPS, "21+"), 0)
    for customer in expected.lines_by_customer:
        number = len(expected.orders_by_customer.get(customer, ()))
        name = "0" if number == 0 else "21+"
        for group, (low, high) in ORDER_GROUPS.items():
            if low <= number <= high:
                name = group
        groups[name] += 1
    return groups
