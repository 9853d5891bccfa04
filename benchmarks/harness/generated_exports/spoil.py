"""What real rows lack: customers, dates and amounts; and rows that no recipe wants: tests, guests, slips of a year."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.harness.generated_exports.cells.draft import Draft
from benchmarks.harness.generated_exports.events import DAY, Told, once
from benchmarks.harness.generated_exports.rows import KEPT, NAMES_OF_NOBODY, Row, Rules

FAR_YEARS = (1975, 2036, 2099)
MIN_ROWS = 180  # of which one is less than 1 %, also when others are left out


def some(draft: Draft, rows: list[Row], share: float) -> Iterator[Row]:
    """Rows that nothing is wrong with yet."""
    for row in draft.random.sample(rows, int(len(rows) * share)):
        if row.fate == KEPT:
            yield row


def spoil(draft: Draft, rows: list[Row], told: Told, rules: Rules, *, can_be_far: bool) -> None:
    """Take customers and dates from some rows, give some to nobody, and date one far away."""
    draw = draft.random
    if draw.random() < 0.3:
        for row in some(draft, rows, 0.07):
            row.event = replace(row.event, customer_id=None)
            row.fate = "missing_customer_id"
    if draw.random() < 0.2 and all(len(known) == 1 for known in rules.rates.values()):
        for row in some(draft, rows, 0.05):
            row.event = replace(row.event, at=None)
            row.fate = "missing_occurred_at"
    is_open = rules.first_date is None and rules.last_date is None
    if draw.random() < 0.15 and rules.shared_ids is None and is_open:
        for row in some(draft, rows, 0.08):
            row.event = replace(row.event, customer_id=draw.choice(NAMES_OF_NOBODY))
    can_be_far = can_be_far and is_open and not rules.shared_ids
    if can_be_far and len(rows) >= MIN_ROWS and draw.random() < 0.5:
        known = [row for row in rows if row.event.customer_id not in NAMES_OF_NOBODY]
        for row in list(some(draft, known, 0.1))[:1]:
            assert row.event.at is not None
            far = row.event.at.replace(year=draw.choice(FAR_YEARS), day=1)
            far = far if told.resolution == DAY else once(far, told.zone)
            row.event = replace(row.event, at=far)
            row.fate = "date_far_from_others"


def forget_amounts(draft: Draft, rows: list[Row], rules: Rules) -> None:
    """Take the amount from some purchases."""
    for row in some(draft, rows, 0.1):
        if row.event.kind != "purchase":
            continue
        row.event = replace(row.event, amount=None)
        if rules.missing_amount != "zero":
            row.fate = "missing_amount"


def add_cards(draft: Draft, rows: list[Row]) -> dict[str, str]:
    """Customers are told by the numbers of their cards, some of which the lookup does not have; the lookup."""
    draw = draft.random
    ids = dict.fromkeys(row.event.customer_id for row in rows)
    cards = {who: f"{draw.choice('KL')}{number:04d}" for number, who in enumerate(ids)}
    for row in rows:
        if row.event.customer_id is not None:
            row.event = replace(row.event, card=cards[row.event.customer_id])
    if draw.random() < 0.5:
        for row in some(draft, rows, 0.08):
            row.event = replace(row.event, card="X9999", customer_id=None)
            row.fate = "missing_customer_id"
    draft.add("card", lambda event: event.card)
    draft.values["customer_id"] = "Holder of card"
    return {card: who for who, card in cards.items() if who is not None}


def add_filter(draft: Draft, rows: list[Row]) -> dict[str, object]:
    """Rows of tests and of cancelled orders; the key that leaves them out."""
    draw = draft.random
    style = draw.choice(("none", "none", "status", "both"))
    if style == "none":
        return {}
    for row in rows:
        row.event = replace(row.event, status=draw.choice(("paid", "shipped", "Cancel?")))
    for row in some(draft, rows, 0.1):
        row.event = replace(row.event, status="cancelled")
        row.fate = "filter:cancelled" if style == "both" else "filter"
    draft.add("status", lambda event: event.status)
    is_real = draft.sql("{s} <> 'cancelled'", s="status")
    if style == "status":
        return {"filter": is_real}
    for row in some(draft, rows, 0.1):
        row.event = replace(row.event, is_test=True)
        row.fate = "filter:test order"
    if draft.form == "csv" or draw.random() < 0.5:
        draft.add("test", lambda event: int(event.is_test))
        is_wanted = draft.sql("{t} = 0", t="test")
    else:
        draft.add("test", lambda event: event.is_test)
        is_wanted = draft.sql("NOT {t}", t="test")
    return {"filter": {"cancelled": is_real, "test order": is_wanted}}
