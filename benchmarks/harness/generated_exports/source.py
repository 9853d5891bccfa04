"""One source of an export: its events, the columns that tell them, and its part of the recipe."""

import random
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import pyarrow as pa

from benchmarks.harness.generated_exports.cells.columns import (
    add_id,
    add_kind,
    add_number,
    add_text,
    add_time,
    add_unused,
)
from benchmarks.harness.generated_exports.cells.csv_text import Dialect, drawn_dialect
from benchmarks.harness.generated_exports.cells.dates import DateStyle, parquet_style, text_style
from benchmarks.harness.generated_exports.cells.draft import Cell, Draft
from benchmarks.harness.generated_exports.cells.money import add_amount
from benchmarks.harness.generated_exports.cells.texts import TEXTS
from benchmarks.harness.generated_exports.events import (
    DAY,
    Event,
    Shop,
    Told,
    interactions,
    once,
    orders,
    refund_of,
)
from benchmarks.harness.generated_exports.rows import Row, Rules
from benchmarks.harness.generated_exports.spoil import add_cards, add_filter, forget_amounts, spoil

FORMS = ("csv", "csv", "csv", "parquet", "json")
OWN_CURRENCY = "EUR"


@dataclass
class Source:
    """`columns` in the order of the file; `recipe` without path and files."""

    draft: Draft
    columns: list[tuple[str, Cell]]
    rows: list[Row]
    recipe: dict[str, object]
    lookup: dict[str, str] | None = None  # customers by their cards
    has_folders: bool = False  # whose names say the day

    @property
    def form(self) -> str:
        """csv, parquet or json."""
        return self.draft.form

    @property
    def dialect(self) -> Dialect:
        """Of a CSV file."""
        return self.draft.dialect

    def place(self, role: str) -> int:
        """Which cell holds something."""
        return [name for name, _ in self.columns].index(self.draft.name(role))

    def render(self, row: Row) -> None:
        """Write the cells of a row; of CSV as texts, where equal rows have the same words for nothing."""
        cells = [cell(row.event) for _, cell in self.columns]
        if self.form == "csv":
            words = self.dialect.nulls
            length = sum(len(str(cell)) for cell in cells)
            for place, cell in enumerate(cells):
                word = words[(length + place) % len(words)]
                cells[place] = word if cell is None else str(cell)
        row.cells = tuple(cells)


def drawn_source(shop: Shop, role: str, rules: Rules, earlier: list[Event]) -> Source:
    """`role` is sales, refunds (of `earlier` sales), or interactions."""
    draw = shop.random
    form = draw.choice(FORMS)
    style = parquet_style(draw) if form == "parquet" else text_style(draw)
    dialect = drawn_dialect(draw) if form == "csv" else Dialect()
    draft = Draft(shop, draw, form, dialect, [], has_plain_floats=draw.random() < 0.1)
    told = _told(draft, style, rules)
    has_refunds = role == "sales" and draw.random() < 0.6
    kind_style = _kind_style(draw, told, role, has_refunds=has_refunds)
    if kind_style == "prefix":
        told = replace(told, refund_prefix="C")
    if kind_style == "negative":
        told = replace(told, refunds_are_negative=True)
    events = _events(shop, told, role, earlier, with_refunds=has_refunds)
    rows = [Row(event) for event in events]
    if role == "sales":
        _finish_sales(shop, rows, can_renew=kind_style == "column")
    is_far = role == "sales" and style.is_century_told
    spoil(draft, rows, told, rules, can_be_far=is_far)
    lookup = add_cards(draft, rows) if draw.random() < 0.12 else None
    filters = add_filter(draft, rows)
    _add_columns(draft, rows, told, style, kind_style, rules)
    columns = [*sorted(draft.columns.items(), key=lambda named: _place(named[0]))]
    columns += add_unused(draft)
    if form != "csv" or draft.dialect.has_header:
        draw.shuffle(columns)
    recipe = {"format": form, **style.recipe(), **filters, "columns": draft.values}
    if draft.kind is not None:
        recipe["kind"] = draft.kind
    can_have_folders = style.resolution == DAY and (form != "csv" or dialect.has_header)
    has_folders = can_have_folders and draw.random() < 0.4
    return Source(draft, columns, rows, recipe, lookup, has_folders)


def _place(name: str) -> int:
    """Of a column in a file without header."""
    number = name.removeprefix("column_")
    return int(number) if number.isdecimal() else 0


def _told(draft: Draft, style: DateStyle, rules: Rules) -> Told:
    draw = draft.random
    texts = tuple(text for text in TEXTS if draft.can_hold(text))
    return Told(
        resolution=style.resolution,
        zone=ZoneInfo(style.zone),
        has_orders=draw.random() < 0.7,
        has_discounts=draw.random() < 0.3,
        has_costs=draw.random() < 0.2,
        texts=texts if draw.random() < 0.7 else (),
        currencies=_currencies(style, rules),
        refunds_are_negative=draw.random() < 0.5,
        refund_prefix="",
    )


def _currencies(style: DateStyle, rules: Rules) -> tuple[str, ...]:
    """Those whose rate changes only where the day is the same in the shop's zone and in UTC."""
    if not rules.rates:
        return ()
    same_day = style.zone == "UTC" or style.resolution == DAY
    usable = [code for code, known in rules.rates.items() if same_day or len(known) == 1]
    return (OWN_CURRENCY, *usable)


def _kind_style(draw: random.Random, told: Told, role: str, *, has_refunds: bool) -> str:
    if role == "interactions":
        return "column"
    if not has_refunds:
        return draw.choice(("constant", "constant", "column"))
    return draw.choice(("negative", "flag", "column", *(["prefix"] if told.has_orders else [])))


def _events(
    shop: Shop, told: Told, role: str, earlier: list[Event], *, with_refunds: bool
) -> list[Event]:
    draw = shop.random
    if role == "interactions":
        return interactions(shop, told, draw.randint(5, 60))
    lines = orders(shop, told, draw.choice((20, 40, 60, 180))) if role == "sales" else []
    bought = [line for line in lines or earlier if line.kind != "refund"]
    sold = [line for line in bought if line.unit_price and line.amount]
    refunds = []
    if with_refunds or role == "refunds":
        for line in draw.sample(sold, min(len(sold), draw.randint(1, 12))):
            refunds.append(refund_of(shop, told, line if lines else _as_told(line, told)))
    return [*lines, *refunds]


def _as_told(line: Event, told: Told) -> Event:
    """A sale of another source with the facts that this one tells."""
    assert line.at is not None
    at = line.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return replace(
        line,
        at=at if told.resolution == DAY else once(at, told.zone),
        order_id=line.order_id if told.has_orders else None,
        text=None,
        event_id=None,
        status="paid",
        is_test=False,
        card=None,
        currency=told.currencies[0] if told.currencies else None,
    )


def _finish_sales(shop: Shop, rows: list[Row], *, can_renew: bool) -> None:
    """Some purchases are renewals, and some shops give every line an id."""
    draw = shop.random
    with_ids = draw.random() < 0.35
    prefix = draw.choice(("", "E-"))
    for row in rows:
        if can_renew and row.event.kind == "purchase" and draw.random() < 0.2:
            row.event = replace(row.event, kind="renewal")
        if with_ids:
            row.event = replace(row.event, event_id=shop.next_id(prefix))


def _add_columns(
    draft: Draft, rows: list[Row], told: Told, style: DateStyle, kind_style: str, rules: Rules
) -> None:
    """The columns that the recipe names, but for those of cards and filters."""
    lacks = draft.random.random() < 0.25 and kind_style != "negative"
    sells = any(row.event.amount is not None for row in rows)
    if lacks and sells:
        forget_amounts(draft, rows, rules)
    draft.events = [row.event for row in rows]
    if "customer_id" not in draft.values:
        add_id(draft, "customer_id")
    add_time(draft, style)
    add_id(draft, "item_id")
    if any(event.event_id for event in draft.events):
        add_id(draft, "event_id")
        if draft.random.random() < 0.5:
            name = draft.add("version", lambda event: event.version, pa.int32())
            draft.values["version"] = name
    if told.texts:
        add_text(draft)
    if not sells:
        add_number(draft, "rating")
        add_kind(draft, kind_style, "")
        return
    if told.has_orders:
        add_id(draft, "order_id")
    add_number(draft, "quantity")
    for name, is_told in {"discount": told.has_discounts, "cost": told.has_costs}.items():
        if is_told:
            add_number(draft, name)
    if told.currencies:
        draft.values["currency"] = draft.add("currency", lambda event: event.currency)
    is_signed = told.refunds_are_negative
    negative = add_amount(draft, is_signed=is_signed, can_be_computed=not lacks)
    add_kind(draft, kind_style, negative)
