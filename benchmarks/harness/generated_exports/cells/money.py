"""Ways to write amounts, each with the recipe's value and the SQL that tells a negative one."""

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa

from benchmarks.harness.generated_exports.cells.draft import Draft, Value
from benchmarks.harness.generated_exports.events import Event

SIX_DIGITS = 10**6  # that a float32 holds exactly in its shortest decimal


def written(draft: Draft, number: Decimal | int, *, grouped: bool = False) -> str:
    """A number as the dialect has it."""
    text = f"{number:,}" if grouped else str(number)
    if draft.dialect.decimal == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    return text


def cell_of(draft: Draft, name: str, *, grouped: bool = False) -> Callable[[Event], object]:
    """Cells of a number that stands in the event, not computed further."""

    def cell(event: Event) -> object:
        number = getattr(event, name)
        if number is None or draft.form != "csv":
            return number
        return written(draft, number, grouped=grouped)

    return cell


def number_type(draft: Draft, name: str) -> pa.DataType:
    """One of Parquet's types that hold all values of an event's number as they are."""
    values = [getattr(event, name) for event in draft.events]
    numbers = [Decimal(value) for value in values if value is not None]
    smallest, largest = min(numbers, default=Decimal(0)), max(numbers, default=Decimal(0))
    largest, smallest = 2 * largest, 2 * smallest  # a correction may add a piece
    digits = max((-int(number.as_tuple().exponent) for number in numbers), default=0)
    types = [pa.float64(), pa.decimal128(24, digits)]
    if max(-smallest, largest) * 10**digits < SIX_DIGITS:
        types.append(pa.float32())
    if digits == 0:
        types.append(pa.int64())
        types += [pa.uint8()] if smallest >= 0 and largest < 2**8 else []
        types += [pa.int16()] if max(-smallest, largest) < 2**15 else []
    return draft.random.choice(types)


def amount_of(draft: Draft, event: Event, *, is_signed: bool) -> Decimal | None:
    """As it stands in the file: where refunds are no negative amounts, without its sign."""
    if event.amount is None or is_signed:
        return event.amount
    return abs(event.amount)


def add_amount(draft: Draft, *, is_signed: bool, can_be_computed: bool) -> str:
    """Add the columns of the amount; SQL that is true where it is negative."""
    styles: dict[str, Callable[[Draft, bool], str]] = {"plain": _plain, "cents": _cents}
    if draft.form == "csv":
        styles |= {name: _text_style(name) for name in TEXTS if _fits(draft, name)}
    elif draft.form == "json":
        styles["text"] = _text_style("plain")
    if can_be_computed:
        styles["times"] = _times
        styles["product"] = _times
    return styles[draft.random.choice(list(styles))](draft, is_signed)


def _plain(draft: Draft, is_signed: bool) -> str:
    def cell(event: Event) -> object:
        amount = amount_of(draft, event, is_signed=is_signed)
        return written(draft, amount) if draft.form == "csv" and amount is not None else amount

    name = draft.add("amount", cell, number_type(draft, "amount"))
    draft.values["amount"] = name
    return draft.sql("{a} < 0", a="amount")["sql"]


def _cents(draft: Draft, is_signed: bool) -> str:
    digits = draft.shop.digits

    def cell(event: Event) -> object:
        amount = amount_of(draft, event, is_signed=is_signed)
        return None if amount is None else int(amount.scaleb(digits))

    draft.add("amount", cell, draft.random.choice((pa.int64(), pa.float64())))
    divisor = f"{10**digits}" + draft.random.choice(("", ".0"))
    draft.values["amount"] = draft.sql("{a} / " + divisor, a="amount")
    return draft.sql("{a} < 0", a="amount")["sql"]


def _times(draft: Draft, is_signed: bool) -> str:
    draft.add("price", cell_of(draft, "unit_price"), number_type(draft, "unit_price"))
    expression = "{q} * {p}"
    if "discount" in draft.values:
        expression += " - {d}"
        draft.values["amount"] = draft.sql(expression, q="quantity", p="price", d="discount")
    else:
        draft.values["amount"] = draft.sql(expression, q="quantity", p="price")
    return draft.sql("{q} < 0", q="quantity")["sql"]


BEHIND = "CASE WHEN {a} LIKE '%-' THEN '-' || REPLACE({a}, '-', '') ELSE {a} END"
PARENTHESES = (
    "CASE WHEN {a} LIKE '(%' THEN '-' || REPLACE(REPLACE({a}, '(', ''), ')', '') ELSE {a} END"
)
# By style: what stands before and behind the number, whether thousands are grouped, the value, and what is negative.
TEXTS: dict[str, tuple[str, str, bool, str, str]] = {
    "grouped": ("", "", True, "", "{a} < 0"),
    "padded": ("  ", " ", False, "", "{a} < 0"),
    "noise": ("", "", False, "", "{a} < 0"),
    "dollar": ("$", "", True, "REPLACE({a}, '$', '')", "{a} LIKE '-%'"),
    "pound": ("£", "", False, "REPLACE({a}, '£', '')", "{a} LIKE '-%'"),
    "euro": ("", "\u00a0€", True, "REPLACE({a}, '€', '')", "{a} LIKE '-%'"),
    "code": ("EUR ", "", True, "REPLACE({a}, 'EUR ', '')", "{a} LIKE '-%'"),
    "behind": ("", "-", True, BEHIND, "{a} LIKE '%-'"),
    "parentheses": ("(", ")", False, PARENTHESES, "{a} LIKE '(%'"),
    "minus": ("−", "", False, "REPLACE({a}, '−', '-')", "{a} LIKE '−%'"),
    "plain": ("", "", False, "", "{a} LIKE '-%'"),
}  # fmt: skip

SIGNS = {"dollar": "USD", "pound": "GBP", "euro": "EUR", "code": "EUR"}


def _fits(draft: Draft, style: str) -> bool:
    before, behind, *_ = TEXTS[style]
    if draft.shop.sign not in (None, SIGNS.get(style, draft.shop.sign)):
        return False  # money of two currencies must not be added up
    try:
        (before + behind).encode(draft.dialect.encoding)
    except UnicodeEncodeError:
        return False
    return style != "noise" or draft.shop.digits > 0


def _text_style(style: str) -> Callable[[Draft, bool], str]:
    """Cells of a style of TEXTS."""
    before, behind, grouped, value, negative = TEXTS[style]

    def cell_text(draft: Draft, amount: Decimal) -> str:
        number = written(draft, abs(amount), grouped=grouped)
        if style in ("behind", "parentheses", "minus"):
            return before + number + behind if amount < 0 else number
        sign = "-" if amount < 0 else ""
        if style == "padded":
            return before + sign + number + behind
        if style == "noise":
            noisy = repr(float(amount) / 3 * 3)
            return noisy.replace(".", draft.dialect.decimal)
        return sign + before + number + behind

    def add(draft: Draft, is_signed: bool) -> str:
        draft.shop.sign = SIGNS.get(style, draft.shop.sign)

        def cell(event: Event) -> object:
            amount = amount_of(draft, event, is_signed=is_signed)
            return None if amount is None else cell_text(draft, amount)

        name = draft.add("amount", cell, pa.string())
        told: Value = draft.sql(value, a="amount") if value else name
        draft.values["amount"] = told
        return draft.sql(negative, a="amount")["sql"]

    return add
