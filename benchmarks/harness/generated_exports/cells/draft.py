"""A source while its columns are drawn: the names it gives them, and what its cells can hold."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from benchmarks.harness.generated_exports.cells.csv_text import Dialect
from benchmarks.harness.generated_exports.events import Event, Shop

Value = str | int | dict[str, str]  # of an event column in the recipe
Cell = Callable[[Event], object]
NAMES = {
    "customer_id": ("CustomerID", "Kunden-Nr.", "client id", "customer", "user", "Käufer", "客户"),
    "occurred_at": ("date", "InvoiceDate", "created_at", "Datum", "timestamp", "Bestellt am", "order"),
    "order_id": ("InvoiceNo", "Order ID", "Auftrag", "order_number", "№"),
    "item_id": ("StockCode", "sku", "Artikel", "item", "Art.-Nr."),
    "quantity": ("Quantity", "qty", "Menge", "count", "Qté"),
    "price": ("UnitPrice", "Preis", "price each", "Price ($)"),
    "amount": ("Total", "amount", "Betrag (brutto)", "sum", "Line total"),
    "discount": ("Discount", "Rabatt", "voucher"),
    "cost": ("Cost", "Einstand", "cogs"),
    "kind": ("type", "Vorgang", "event", "case"),
    "rating": ("stars", "Note"),
    "text": ("Description", "title", "Bezeichnung", "text", "Beschreibung, lang"),
    "event_id": ("id", "event_id", "Zeile", "uuid"),
    "version": ("version", "Stand", "rev"),
    "currency": ("currency", "Währung", "ccy"),
    "status": ("Status", "state", "Zustand"),
    "test": ("is_test", "Test?", "test"),
    "card": ("card", "Karte", "loyalty card"),
}  # fmt: skip


def quoted(name: str) -> str:
    """A column in SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Draft:
    """`columns` are those of the source, each with how a cell is made; `values` are the recipe's `columns`."""

    shop: Shop
    random: random.Random
    form: str  # csv, parquet, json
    dialect: Dialect  # of a CSV file
    events: list[Event]
    columns: dict[str, Cell] = field(default_factory=dict)
    types: dict[str, pa.DataType] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    kind: Value | None = None
    # Money is often text in the shop's own form while ids beside it went through floats.
    has_plain_floats: bool = False
    names: dict[str, str] = field(default_factory=dict)  # of columns by what they hold

    @property
    def float_sign(self) -> str:
        """Of ids that became floats."""
        return "." if self.has_plain_floats else self.dialect.decimal

    def name(self, role: str) -> str:
        """The column that holds something, the same each time; in characters that the file has."""
        if role not in self.names:
            if self.form == "csv" and not self.dialect.has_header:
                self.names[role] = f"column_{len(self.names) + 1}"
                return self.names[role]
            possible = [name for name in NAMES[role] if self.can_hold(name)]
            free = [name for name in possible if name not in self.names.values()]
            self.names[role] = self.random.choice(free)
        return self.names[role]

    def can_hold(self, text: str) -> bool:
        """Whether a cell can have this text."""
        return self.form != "csv" or self.dialect.can_hold(text)

    def add(self, role: str, cell: Cell, dtype: pa.DataType | None = None) -> str:
        """Add a column; its name."""
        name = self.name(role)
        self.columns[name] = cell
        if dtype is not None:
            self.types[name] = dtype
        return name

    def sql(self, expression: str, **roles: str) -> dict[str, str]:
        """An expression in which {a} stands for the column of the role that is given as `a`."""
        names = {short: quoted(self.name(role)) for short, role in roles.items()}
        return {"sql": expression.format(**names)}
