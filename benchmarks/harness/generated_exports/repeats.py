"""Rows that come again, copied or corrected, and the files that rows are in."""

from dataclasses import replace
from itertools import groupby

from benchmarks.harness.generated_exports.events import Event
from benchmarks.harness.generated_exports.files import HIVE_NULL
from benchmarks.harness.generated_exports.rows import KEPT, NAMES_OF_NOBODY, Row, Rules
from benchmarks.harness.generated_exports.source import Source


def add_repeats(source: Source, rules: Rules) -> None:
    """Repeat some rows, and shuffle or sort all."""
    draw = source.draft.random
    order = draw.choice(("time", "any", "drawn"))
    if order == "any":
        draw.shuffle(source.rows)
    if order == "time":
        source.rows.sort(key=lambda row: str(row.event.at))
    has_ids = "event_id" in source.draft.values
    if has_ids and rules.on_repeated_id is not None and draw.random() < 0.7:
        _correct(source, has_versions="version" in source.draft.values)
    if draw.random() < 0.4:
        for row in draw.sample(source.rows, max(1, len(source.rows) // 15)):
            if row.fate == KEPT and _is_plain(source, row, rules):
                _insert(source, Row(row.event, row.cells), after=row)


def _is_plain(source: Source, row: Row, rules: Rules) -> bool:
    """Whether no other rule decides on copies of a row."""
    event = row.event
    if event.customer_id in (*NAMES_OF_NOBODY, *(rules.shared_ids or ())):
        return False
    same = [other for other in source.rows if other.event.event_id == event.event_id]
    return event.event_id is None or all(other.event == event for other in same)


def _correct(source: Source, *, has_versions: bool) -> None:
    """Some lines come again with one piece more, later in the file or with a higher version."""
    draw = source.draft.random
    for row in draw.sample(source.rows, max(1, len(source.rows) // 10)):
        event = row.event
        if row.fate != KEPT or event.kind != "purchase" or event.amount is None:
            continue
        other = Row(corrected(event))
        source.render(other)
        _insert(source, other, after=None if has_versions else row)


def corrected(event: Event) -> Event:
    """The same line with one piece more, in the next version."""
    assert event.quantity is not None and event.unit_price is not None and event.amount is not None
    return replace(
        event,
        quantity=event.quantity + 1,
        amount=event.amount + event.unit_price,
        version=event.version + 1,
    )


def _insert(source: Source, row: Row, *, after: Row | None) -> None:
    """At a random place, or behind the row that it repeats."""
    first = 0
    if after is not None:
        first = next(place for place, other in enumerate(source.rows) if other is after) + 1
    source.rows.insert(source.draft.random.randint(first, len(source.rows)), row)


def in_files(source: Source) -> list[list[Row]]:
    """The rows in one file or several, each with some rows."""
    draw = source.draft.random
    rows = source.rows
    if source.has_folders:
        rows.sort(key=lambda row: _folder(source, row))
        by_day = groupby(rows, key=lambda row: row.event.at)
        return [list(group) for _, group in by_day]
    number = min(draw.choice((1, 1, 2, 5)), len(rows))
    ends = sorted(draw.sample(range(1, len(rows)), number - 1))
    return [rows[start:end] for start, end in zip([0, *ends], [*ends, len(rows)], strict=True)]


def _folder(source: Source, row: Row) -> str:
    """By which the rows of folders are sorted: the day in its name, and behind all days those without one."""
    cell = row.cells[source.place("occurred_at")]
    return HIVE_NULL if row.event.at is None else str(cell)
