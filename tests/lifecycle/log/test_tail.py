"""Which customers have moved on: read before every answer, without waiting where the log is a local file."""

import sqlite3

import pytest
from sqlalchemy import delete, update

from lifecycle.log.database import Log
from lifecycle.log.opening import open_log
from lifecycle.log.schema import EVENTS, LOG
from lifecycle.log.tail import Tail
from lifecycle.log.writer import append
from tests.lifecycle.log.events import batch


def test_customers_with_later_events_are_told_of_any_writer(log: Log) -> None:
    append(log, [batch("a", "b"), batch("c", customer_id="c2")])
    from_start, later = Tail(log, 0), Tail(log, 2)
    assert from_start.read() == {"c1", "c2"} and later.read() == {"c2"}
    other = open_log(log.url)
    append(other, [batch("d", customer_id="c3")])
    assert later.read() == {"c2", "c3"}
    append(other, [batch("e", customer_id="c1"), batch("f", customer_id="c3")])
    assert later.read() == {"c1", "c2", "c3"}
    other.engine.dispose()


def test_local_file_is_read_at_once_also_while_it_is_written(sqlite_log: Log) -> None:
    tail = Tail(sqlite_log, 0)
    assert tail.read_at_once() == set()
    with sqlite_log.writing():  # somebody else's transaction
        assert tail.read_at_once() == set()
    append(sqlite_log, [batch("a")])
    assert tail.read_at_once() == {"c1"} == tail.read_at_once()


def test_events_that_were_erased_before_they_were_read_are_passed_by(sqlite_log: Log) -> None:
    append(sqlite_log, [batch("a")])
    tail = Tail(sqlite_log, 0)
    with sqlite_log.writing() as connection:
        connection.execute(delete(EVENTS))
    assert tail.read_at_once() == set() and tail.read_until == 1


def test_locked_file_is_not_waited_for(sqlite_log: Log) -> None:
    tail = Tail(sqlite_log, 0)
    assert sqlite_log.path is not None and tail.file is not None
    tail.file.close()
    other = sqlite3.connect(sqlite_log.path, isolation_level=None)
    sqlite_log.engine.dispose()
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    other.execute("COMMIT")
    assert tail.read_at_once() is None
    other.close()


@pytest.mark.integration
@pytest.mark.thorough
def test_network_is_never_read_at_once(log: Log) -> None:
    assert (Tail(log, 0).read_at_once() is None) == (log.path is None)


def test_who_was_erased_and_lifted_is_no_customer_of_the_log_any_more(sqlite_log: Log) -> None:
    append(sqlite_log, [batch("a")])
    tail = Tail(sqlite_log, 0)
    assert tail.read()
    with sqlite_log.writing() as connection:
        connection.execute(delete(EVENTS))
        connection.execute(update(LOG).values(last_erasure=2))  # erased, and lifted
    assert tail.read_at_once() is None, "reading anew may take longer"
    assert tail.read() == set() == tail.read_at_once()
