"""Every event once, all of a request or nothing of it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, select, text, update

from lifecycle.log.database import Log, durability
from lifecycle.log.opening import open_log
from lifecycle.log.problems import LogFull, LogUnavailable
from lifecycle.log.reader import last_sequence, pages
from lifecycle.log.schema import EVENTS, LOG
from lifecycle.log.writer import Conflict, Receipt, append, new_batch
from tests.lifecycle.log.events import CAME_AT, EVENT, FULL, batch, frame


def ids_of(log: Log) -> list[str]:
    with log.reading() as connection:
        query = select(EVENTS.c.sequence, EVENTS.c.event_id).order_by(EVENTS.c.sequence)
        found = connection.execute(query).all()
    assert [row.sequence for row in found] == list(range(1, len(found) + 1))
    return [row.event_id for row in found]


def test_event_is_accepted_once(log: Log) -> None:
    assert append(log, [batch("a", "b")]) == [Receipt(2, 0)]
    assert append(log, [batch("a"), batch("b", "c")]) == [Receipt(0, 1), Receipt(1, 1)]
    assert append(log, [batch("d"), batch("d", "d", "e")]) == [Receipt(1, 0), Receipt(1, 2)]
    assert ids_of(log) == ["a", "b", "c", "d", "e"]
    assert last_sequence(log) == 5


def test_same_id_with_other_content_is_refused_with_its_whole_request(log: Log) -> None:
    append(log, [batch("a")])
    other = batch("new", "a", amount=99.0)
    twice = new_batch(
        frame(EVENT | {"event_id": "x"}, EVENT | {"event_id": "x", "amount": 1.0}), CAME_AT
    )
    outcomes = append(log, [other, batch("b"), batch("b", customer_id="c2"), twice])
    assert outcomes == [Conflict(("a",)), Receipt(1, 0), Conflict(("b",)), Conflict(("x",))]
    assert ids_of(log) == ["a", "b"]


def test_zero_has_one_sign(log: Log) -> None:
    append(log, [batch("a", amount=0.0)])
    assert append(log, [batch("a", amount=-0.0)]) == [Receipt(0, 1)]


def test_every_column_comes_back_as_it_was(log: Log) -> None:
    events = frame(FULL, EVENT | {"event_id": "b"})
    append(log, [new_batch(events, CAME_AT)])
    [page] = pages(log, 0, last_sequence(log))
    assert page.equals(events, null_equal=True)
    with log.reading() as connection:
        came_at = connection.execute(select(EVENTS.c.came_at)).scalars().first()
    assert came_at == CAME_AT.timestamp() * 1e6


def test_writers_at_the_same_time_leave_no_gap_and_lose_nothing(log: Log) -> None:
    def write(number: int) -> Receipt | Conflict:
        other = open_log(log.url)
        try:
            [outcome] = append(other, [batch(f"own-{number}", "shared")])
        finally:
            other.engine.dispose()
        return outcome

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(write, range(12)))
    accepted = [outcome.accepted for outcome in outcomes if isinstance(outcome, Receipt)]
    assert sorted(accepted) == [1] * 11 + [2]
    assert set(ids_of(log)) == {"shared", *(f"own-{number}" for number in range(12))}


def test_acknowledging_connection_waits_for_the_disk(log: Log) -> None:
    with log.writing() as connection:
        found = durability(connection)
        if log.path is None:
            assert connection.execute(text("SHOW fsync")).scalar_one() == "on"
        else:
            assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    assert found == ("on" if log.path is None else "FULL")


def test_full_log_acknowledges_nothing_and_goes_on_when_there_is_room(sqlite_log: Log) -> None:
    """SQLite's own limit of pages stands for the disk's."""
    append(sqlite_log, [batch("first")])
    many = batch(*(f"{number:0200d}" for number in range(2000)))
    with sqlite_log.engine.connect() as connection:
        pages_used = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages_used + 5}"))
    with pytest.raises(LogFull, match="full"):
        append(sqlite_log, [many])
    assert ids_of(sqlite_log) == ["first"]
    sqlite_log.engine.dispose()  # new connections have no limit
    assert append(sqlite_log, [many]) == [Receipt(2000, 0)]


def test_locked_log_is_told_and_nothing_is_written(sqlite_log: Log) -> None:
    other = open_log(sqlite_log.url)
    with sqlite_log.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with other.writing(), pytest.raises(LogUnavailable, match="locked"):
        append(sqlite_log, [batch("a")])
    assert ids_of(sqlite_log) == []
    assert append(sqlite_log, [batch("a")]) == [Receipt(1, 0)]


def test_log_that_a_newer_version_took_over_is_written_no_more(log: Log) -> None:
    append(log, [batch("a")])
    with log.writing() as connection:
        connection.execute(update(LOG).values(format_version=3))
    with pytest.raises(LogUnavailable, match="format version 3 now, and this service writes 2"):
        append(log, [batch("b")])
    assert ids_of(log) == ["a"]


def test_log_without_its_row_is_told(sqlite_log: Log) -> None:
    with sqlite_log.writing() as connection:
        connection.execute(delete(LOG))
    with pytest.raises(LogUnavailable, match="cannot be used"):
        append(sqlite_log, [batch("a")])


def test_problems_do_not_quote_events(sqlite_log: Log) -> None:
    with sqlite_log.writing() as connection:
        connection.execute(text("ALTER TABLE evervalue_events RENAME TO gone"))
    with pytest.raises(LogUnavailable) as error:
        append(sqlite_log, [batch("secret-id")])
    assert "secret-id" not in str(error.value)
