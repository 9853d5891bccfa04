"""What a shop did, drawn at random: the truth that an export tells in its own way."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

ID_STYLES = ("int", "long_int", "padded", "uuid", "email", "code")
OTHER_KINDS = ("view", "cart", "search", "review", "support", "campaign", "cancellation")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Event:
    """One event; a refund's amount is negative, and money is in the event's own currency."""

    customer_id: str | None
    at: datetime | None  # UTC
    kind: str
    order_id: str | None = None
    item_id: str | None = None
    quantity: int | None = None
    unit_price: Decimal | None = None
    amount: Decimal | None = None
    discount: Decimal | None = None
    cost: Decimal | None = None
    rating: int | None = None
    text: str | None = None
    event_id: str | None = None
    currency: str | None = None
    # What decides on a row and is no part of its event.
    version: int = field(default=0, compare=False)
    status: str = field(default="paid", compare=False)
    is_test: bool = field(default=False, compare=False)
    card: str | None = field(default=None, compare=False)


@dataclass
class Shop:
    """Customers, items with their prices, and when the shop was open."""

    random: random.Random
    start: date = field(init=False)
    num_days: int = field(init=False)
    digits: int = field(init=False)  # of money behind the decimal sign
    customers: list[str] = field(init=False)
    customer_style: str = field(init=False)
    items: dict[str, Decimal] = field(init=False)
    item_style: str = field(init=False)
    order_style: str = field(init=False)
    num_ids: int = 0  # of orders and events
    sign: str | None = (
        None  # currency that some file writes beside money; others write none or the same
    )

    def __post_init__(self) -> None:
        draw = self.random
        self.start = date(draw.randint(2019, 2025), draw.randint(1, 12), draw.randint(1, 28))
        self.num_days = draw.choice((5, 40, 80))
        self.digits = draw.choice((2, 2, 2, 0, 3))
        self.customer_style = draw.choice(ID_STYLES)
        self.customers = _distinct_ids(draw, self.customer_style, draw.randint(3, 40))
        self.item_style = draw.choice(("int", "padded", "code", "long_int"))
        skus = _distinct_ids(draw, self.item_style, draw.randint(2, 25))
        scale = draw.choice((1, 100, 100, 100, 5_000_000))
        self.items = {sku: self.price(scale) for sku in skus}
        self.order_style = draw.choice(("int", "code"))

    def price(self, scale: int) -> Decimal:
        """At least the smallest coin, but for some that are given away."""
        if self.random.random() < 0.05:
            return Decimal(0)
        most = max(scale * 10**self.digits, 2)
        return Decimal(self.random.randint(1, most)).scaleb(-self.digits)

    def next_id(self, prefix: str) -> str:
        """An id that nothing else has."""
        self.num_ids += 1
        return f"{prefix}{1000 + self.num_ids}"

    def order_id(self) -> str:
        """Of a new order."""
        return self.next_id("" if self.order_style == "int" else "R-")

    def _days_of_change(self, zone: ZoneInfo) -> list[datetime]:
        """The midnights in UTC after which the zone goes over to summer or winter time."""
        first = datetime.combine(self.start, datetime.min.time(), UTC)
        days = [first + number * DAY for number in range(self.num_days)]
        offsets = [day.astimezone(zone).utcoffset() for day in [*days, first + self.num_days * DAY]]
        return [
            day
            for day, *pair in zip(days, offsets, offsets[1:], strict=False)
            if pair[0] != pair[1]
        ]

    def instant(self, resolution: timedelta, zone: ZoneInfo) -> datetime:
        """A time in UTC that occurs once in the zone; of whole days their midnight in UTC."""
        start = datetime.combine(self.start, datetime.min.time(), UTC)
        offset = self.random.randrange(self.num_days * DAY // timedelta(microseconds=1))
        changes = self._days_of_change(zone)
        if changes and self.random.random() < 0.2:
            start = self.random.choice(changes)
            offset %= DAY // timedelta(microseconds=1)
        at = start + timedelta(microseconds=offset) // resolution * resolution
        return at if resolution == DAY else once(at, zone)


def once(at: datetime, zone: ZoneInfo) -> datetime:
    """The instant, or three hours later where its hour comes twice in the zone."""
    local = at.astimezone(zone)
    is_once = local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()
    return at if is_once else at + timedelta(hours=3)


def _distinct_ids(draw: random.Random, style: str, number: int) -> list[str]:
    ids: dict[str, None] = {}
    while len(ids) < number:
        ids[_id(draw, style)] = None
    return list(ids)


def _id(draw: random.Random, style: str) -> str:
    if style == "int":
        return str(draw.randint(1, 90_000))
    if style == "long_int":
        return str(draw.randint(2**53, 2**62))
    if style == "padded":
        return f"{draw.randint(1, 99_999):06d}"
    if style == "uuid":
        return f"{draw.getrandbits(32):08x}-{draw.getrandbits(16):04x}-4{draw.getrandbits(12):03x}"
    if style == "email":
        return f"{draw.choice(('Ann', 'bob', 'EVE', 'zoë'))}.{draw.randint(1, 999)}@Shop.example"
    return f"{draw.choice('ABCX')}{draw.randint(1, 99)}-{draw.randint(1, 9)}"


@dataclass(frozen=True)
class Told:
    """Which facts the rows of a source tell, and how exactly."""

    resolution: timedelta
    zone: ZoneInfo
    has_orders: bool
    has_discounts: bool
    has_costs: bool
    texts: tuple[str, ...]  # to draw from; none: there is no such column
    currencies: tuple[str, ...]  # to draw from; none: all money is in the shop's
    refunds_are_negative: bool  # in quantity
    refund_prefix: str  # of order numbers


def orders(shop: Shop, told: Told, num_lines: int) -> list[Event]:
    """Purchases of several lines each."""
    lines: list[Event] = []
    while len(lines) < num_lines:
        customer = shop.random.choice(shop.customers)
        at = shop.instant(told.resolution, told.zone)
        order = shop.order_id() if told.has_orders else None
        currency = shop.random.choice(told.currencies) if told.currencies else None
        for _ in range(shop.random.choice((1, 1, 2, 4))):
            line = Event(customer, at, "purchase", order_id=order, currency=currency)
            lines.append(_line(shop, told, line))
    return lines[:num_lines]


def _line(shop: Shop, told: Told, event: Event) -> Event:
    item = shop.random.choice(list(shop.items))
    quantity = shop.random.choice((1, 1, 1, 2, 3, 12))
    price = shop.items[item]
    whole = quantity * price
    discount = Decimal(0)
    if told.has_discounts and shop.random.random() < 0.3:
        discount = shop.random.choice((whole, _part(whole, shop.digits)))
    return replace(
        event,
        item_id=item,
        quantity=quantity,
        unit_price=price,
        amount=whole - discount,
        discount=discount if told.has_discounts else None,
        cost=_part(whole, shop.digits) if told.has_costs else None,
        text=shop.random.choice(told.texts) if told.texts and shop.random.random() < 0.8 else None,
    )


def _part(amount: Decimal, digits: int) -> Decimal:
    """A third, in whole coins."""
    return (amount / 3).quantize(Decimal(1).scaleb(-digits))


def refund_of(shop: Shop, told: Told, line: Event) -> Event:
    """A later line that takes a whole purchase back."""
    assert line.at is not None
    assert line.quantity is not None and line.unit_price is not None
    ticks = shop.random.randint(1, max(1, int(5 * DAY / told.resolution)))
    at = line.at + ticks * told.resolution
    order = line.order_id
    if order is not None and told.refund_prefix:
        order = told.refund_prefix + order
    return replace(
        line,
        at=at if told.resolution == DAY else once(at, told.zone),
        kind="refund",
        order_id=order,
        quantity=-line.quantity if told.refunds_are_negative else line.quantity,
        amount=-line.quantity * line.unit_price,
        discount=Decimal(0) if told.has_discounts else None,
        cost=None,
    )


def interactions(shop: Shop, told: Told, number: int) -> list[Event]:
    """Views, searches and what else brings no money."""
    events = []
    for _ in range(number):
        kind = shop.random.choice(OTHER_KINDS)
        item = None
        if kind in ("view", "cart", "review"):
            item = shop.random.choice(list(shop.items))
        event = Event(
            shop.random.choice(shop.customers),
            shop.instant(told.resolution, told.zone),
            kind,
            item_id=item,
            rating=shop.random.randint(1, 5) if kind == "review" else None,
            text=shop.random.choice(told.texts) if told.texts else None,
        )
        events.append(event)
    return events
