"""The columns of a source but for money: ids, times, kinds, texts, and those that nothing reads."""

from collections.abc import Callable
from datetime import time
from decimal import Decimal

import pyarrow as pa

from benchmarks.harness.generated_exports.cells.dates import DateStyle
from benchmarks.harness.generated_exports.cells.draft import Cell, Draft
from benchmarks.harness.generated_exports.cells.money import cell_of, number_type, written
from benchmarks.harness.generated_exports.events import Event

EXACT_FLOAT = 2**53
ID_ROLES = ("customer_id", "order_id", "item_id", "event_id")
UNUSED = (
    "",
    "Unnamed: 0",
    "tag",
    "tag",
    "notes; free, text",
    'size (")',
    "refund",
    "select",
    " padded ",
    "two\nlines",
    "column_1",
    "Überschrift",
    "emoji 🎁",
)
PARQUET_ONLY: dict[str, tuple[object, pa.DataType]] = {
    "raw id": (b"\xff\xfe\x00", pa.binary()),
    "tags": (("a", "b"), pa.list_(pa.string())),
    "time": (time(8, 30), pa.time64("us")),
    "parts": ((("k", "v"),), pa.map_(pa.string(), pa.string())),
    "weight": (Decimal("1.250"), pa.decimal128(38, 10)),
}
ADDRESS = ("0123", "Lane 1", "Hill")  # nested in JSON
UNUSED_CELLS = ("x", "0", "", "a b", "12.5", "2024-01-01", "yes")


def add_id(draft: Draft, role: str) -> None:
    """An id as text, as a number, or as a number that became a float on its way."""
    style = draft.random.choice(_id_styles(draft, role))

    def cell(event: Event) -> object:
        value = getattr(event, role)
        return None if value is None else WAYS[style](draft, value)

    draft.values[role] = draft.add(role, cell, _id_type(draft, style))


def _as_text(draft: Draft, value: str) -> object:
    return value


def _as_number(draft: Draft, value: str) -> object:
    return int(value)


def _as_float(draft: Draft, value: str) -> object:
    if draft.form != "csv":
        return float(value)
    return value + draft.float_sign + "0"


def _as_either(draft: Draft, value: str) -> object:
    return draft.random.choice((_as_text, _as_float))(draft, value)


def _as_padded(draft: Draft, value: str) -> object:
    return draft.random.choice((" ", "  ", "")) + value + draft.random.choice((" ", "\u00a0", ""))


WAYS: dict[str, Callable[[Draft, str], object]] = {
    "text": _as_text,
    "number": _as_number,
    "float": _as_float,
    "either": _as_either,
    "padded": _as_padded,
}


def _id_styles(draft: Draft, role: str) -> list[str]:
    """Those that lose nothing of the ids in question."""
    values = [getattr(event, role) for event in draft.events]
    ids = {value for value in values if value is not None}
    styles = ["text"]
    if draft.can_hold("\u00a0"):
        styles.append("padded")
    are_numbers = all(value.isascii() and value.isdecimal() and value[0] != "0" for value in ids)
    if ids and are_numbers:
        is_exact = all(int(value) < EXACT_FLOAT for value in ids)
        styles += ["number"] * 2
        styles += ["float"] if is_exact or draft.form == "csv" else []
        styles += ["either"] if draft.form == "csv" else []
    return styles


def _id_type(draft: Draft, style: str) -> pa.DataType:
    if style == "float":
        return pa.float64()
    if style == "number":
        return draft.random.choice(
            (pa.int64(), pa.uint64(), pa.decimal128(38, 0), pa.decimal128(22, 2))
        )
    return draft.random.choice(
        (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view())
    )


def add_time(draft: Draft, style: DateStyle) -> None:
    """When it happened."""

    def cell(event: Event) -> object:
        return None if event.at is None else style.write(event.at)

    name = draft.add("occurred_at", cell, style.type or pa.string())
    if style.sql is None:
        draft.values["occurred_at"] = name
    else:
        draft.values["occurred_at"] = draft.sql(style.sql, name="occurred_at")


def add_text(draft: Draft) -> None:
    """Titles, and what customers wrote; blanks around them are none of it."""

    def cell(event: Event) -> object:
        if event.text is None:
            return draft.random.choice((None, None, "", "  ")) if draft.form != "csv" else None
        return event.text + draft.random.choice(("", "", " "))

    types = (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))
    draft.values["text"] = draft.add("text", cell, draft.random.choice(types))


def add_number(draft: Draft, name: str) -> None:
    """A number that stands as it is."""
    draft.values[name] = draft.add(name, cell_of(draft, name), number_type(draft, name))


def add_kind(draft: Draft, style: str, negative: str) -> None:
    """Which rows are purchases; `negative` is the SQL that is true of a negative amount."""
    if style == "constant":
        kind = draft.events[0].kind
        is_told = kind != "purchase" or draft.random.random() < 0.3
        draft.kind = kind if is_told else None
    elif style == "column":
        draft.values["kind"] = draft.add("kind", lambda event: event.kind, pa.string())
    elif style == "negative":
        draft.kind = {"sql": f"CASE WHEN {negative} THEN 'refund' ELSE 'purchase' END"}
    elif style == "prefix":
        draft.kind = draft.sql(
            "CASE WHEN TRIM({o}) LIKE 'C%' THEN 'refund' ELSE 'purchase' END", o="order_id"
        )
    else:
        _add_flag(draft)


def _add_flag(draft: Draft) -> None:
    yes, no, condition, dtype = draft.random.choice(
        (
            ("Y", "N", "{k} = 'Y'", pa.string()),
            ("Y", None, "{k} = 'Y'", pa.string()),
            ("Retoure", "Verkauf", "{k} = 'Retoure'", pa.dictionary(pa.int8(), pa.string())),
            (1, 0, "{k} = 1", pa.int8()),
            ("true", "false", "{k} = 'true'", pa.string()),
            *([(True, False, "{k}", pa.bool_())] if draft.form != "csv" else []),
        )
    )
    draft.add("kind", lambda event: yes if event.kind == "refund" else no, dtype)
    expression = f"CASE WHEN {condition} THEN 'refund' ELSE 'purchase' END"
    draft.kind = draft.sql(expression, k="kind")


def add_unused(draft: Draft) -> list[tuple[str, Cell]]:
    """Columns that the recipe does not name; in CSV two may have one name."""
    wanted = draft.random.sample(UNUSED, draft.random.choice((0, 0, 1, 3)))
    held = [name for name in wanted if draft.form != "csv" or name == "" or draft.can_hold(name)]
    if draft.form != "csv":
        held = list(dict.fromkeys(name for name in held if name))
    free = [name for name in held if name not in draft.names.values()]
    if draft.kind in free:  # which may mean the kind or the column
        draft.kind = {"sql": f"'{draft.kind}'"}
    columns: list[tuple[str, Cell]] = []
    for name in free:
        columns.append((name, lambda event: draft.random.choice(UNUSED_CELLS)))
    if draft.form == "json" and draft.random.random() < 0.3:
        columns.append(("address", lambda event: ADDRESS))
    if draft.form == "parquet" and draft.random.random() < 0.3:
        name, (cell, dtype) = draft.random.choice(list(PARQUET_ONLY.items()))
        draft.types[name] = dtype
        columns.append((name, lambda event: cell))
    if draft.form == "csv" and draft.random.random() < 0.1:
        columns.append(("row", lambda event: written(draft, draft.random.randint(1, 10**6))))
    return columns
