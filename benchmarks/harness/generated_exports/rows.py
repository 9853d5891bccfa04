"""Rows of an export, and what becomes of each by the rules of `docs/data.md`."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from benchmarks.harness.generated_exports.events import Event

KEPT = "kept"
NAMES_OF_NOBODY = ("guest", "Guest", "walk-in", "anonymous", "UNKNOWN")
Cells = tuple[object, ...]


@dataclass
class Row:
    """`fate` is `kept`, or the reason for which it is left out."""

    event: Event
    cells: Cells = ()
    fate: str = KEPT


@dataclass
class Rows:
    """The rows of a source by file, in the order in which they are read, and the keys that decide on them."""

    files: list[list[Row]]
    drop_exact: bool = False
    duplicates: str | None = None
    ids_decide: bool = False  # on rows that have one, not `drop_exact` and `duplicates`
    zone: str = "UTC"  # whose days make orders of lines without an id

    def all(self) -> list[Row]:
        """Of all files."""
        return [row for file in self.files for row in file]

    def is_compared(self, row: Row) -> bool:
        """Whether copies of a row are told by what it holds."""
        return not self.ids_decide or row.event.event_id is None


@dataclass(frozen=True)
class Rules:
    """Keys of the recipe that decide on rows of all sources."""

    missing_amount: str | None = None
    on_repeated_id: str | None = None
    shared_ids: tuple[str, ...] | None = None
    first_date: date | None = None
    last_date: date | None = None
    # Of other currencies: what one is worth, by the dates from which on it is.
    rates: dict[str, dict[date, Decimal]] = field(default_factory=dict)

    def worth(self, event: Event, money: Decimal | None) -> Decimal | None:
        """In the shop's currency."""
        if money is None:
            return None
        known = self.rates.get(event.currency or "")
        if known is None:
            return money
        day = event.at.date() if event.at is not None else date.max
        return money * known[max(since for since in known if since <= day)]


def decide(sources: Iterable[Rows], rules: Rules) -> None:
    """Set the fate of every row, in the order of the rules."""
    kept: list[Row] = []
    for source in sources:
        if source.duplicates == "drop":
            _mark_shared(source)
        for row in source.all():
            if row.fate == KEPT and _is_nobody(row.event.customer_id, rules):
                row.fate = "shared_id"
        if source.drop_exact:
            compared = [row for row in source.all() if source.is_compared(row)]
            _mark_first(compared, lambda row: row.cells, "exact_duplicate")
        kept += source.all()
    _decide_repeated([row for row in kept if row.fate == KEPT or _has_version(row, rules)], rules)
    for row in kept:
        if row.fate == KEPT:
            row.fate = _fate(row, rules)


def shares_too_much(source: Rows) -> bool:
    """Whether a file equals an earlier one, or shares more than half of its rows, or of an earlier one's, with them."""
    written = [[row.cells for row in file] for file in source.files]
    if any(file in written[:number] for number, file in enumerate(written)):
        return True
    earlier: list[Counter[Cells]] = []
    num_earlier: list[int] = []
    for file in source.files:
        own = _contents(source, file)
        num_rows = sum(map(_is_read, file))
        if 2 * (own & _most(earlier)).total() > num_rows:
            return True
        for other, num_others in zip(earlier, num_earlier, strict=True):
            if 2 * (own & other).total() > num_others > 0:
                return True
        earlier.append(own)
        num_earlier.append(num_rows)
    return False


def _mark_shared(source: Rows) -> None:
    """`duplicates: drop` counts rows that an earlier file has once, as many as it has."""
    earlier: list[Counter[Cells]] = []
    for file in source.files:
        own = _contents(source, file)
        left = _most(earlier)
        for row in file:
            is_compared = _is_read(row) and source.is_compared(row)
            if is_compared and left[_content(row)] > 0:
                left[_content(row)] -= 1
                row.fate = "in_earlier_file"
        earlier.append(own)


def _is_read(row: Row) -> bool:
    return not row.fate.startswith("filter")


def _contents(source: Rows, file: list[Row]) -> Counter[Cells]:
    """Of the rows that are compared with those of other files."""
    return Counter(_content(row) for row in file if _is_read(row) and source.is_compared(row))


def _content(row: Row) -> Cells:
    """All that the recipe reads of a row: its event, and its version."""
    return (row.event, row.event.version)


def _most(files: list[Counter[Cells]]) -> Counter[Cells]:
    """Of each content as many as one of the files has."""
    most: Counter[Cells] = Counter()
    for file in files:
        most |= file
    return most


def _mark_first(rows: list[Row], key: Callable[[Row], Cells], reason: str) -> None:
    """All but the first of equal rows get the reason."""
    seen: set[Cells] = set()
    for row in rows:
        if row.fate == KEPT:
            if key(row) in seen:
                row.fate = reason
            seen.add(key(row))


def _is_nobody(customer_id: str | None, rules: Rules) -> bool:
    return customer_id in (NAMES_OF_NOBODY if rules.shared_ids is None else rules.shared_ids)


def _fate(row: Row, rules: Rules) -> str:
    """Why the dates of the recipe leave a row out, or `kept`."""
    event = row.event
    assert event.at is not None
    if rules.first_date is not None and event.at.date() < rules.first_date:
        return "before_first_date"
    if rules.last_date is not None and event.at.date() > rules.last_date:
        return "after_last_date"
    return KEPT


def _has_version(row: Row, rules: Rules) -> bool:
    """Whether a row that is left out may replace others."""
    is_left_out = row.fate.startswith(("filter", "missing"))
    return is_left_out and rules.on_repeated_id is not None and row.event.customer_id is not None


def _decide_repeated(kept: list[Row], rules: Rules) -> None:
    """One row of each event id; equal ones are left out with their date or counted once, the others replaced."""
    groups: dict[str, list[Row]] = {}
    for row in kept:
        if row.event.event_id is not None:
            groups.setdefault(row.event.event_id, []).append(row)
    for rows in groups.values():
        by_version = sorted(rows, key=lambda row: row.event.version)
        held = by_version[-1 if rules.on_repeated_id == "latest" else 0]
        for row in rows:
            if row is not held and row.fate == KEPT:
                same = row.event == held.event and held.fate == KEPT
                of_copy = KEPT if _fate(row, rules) != KEPT else "duplicate_event_id"
                row.fate = of_copy if same else "replaced_event_id"
