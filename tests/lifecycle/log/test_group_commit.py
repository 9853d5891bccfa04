"""Requests that wait at the same time share a transaction; each gets its own outcome."""

from concurrent.futures import Future

import pytest
from sqlalchemy import text

from lifecycle.log.database import Log
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.problems import LogUnavailable
from lifecycle.log.reader import last_sequence
from lifecycle.log.schema import EVENTS
from lifecycle.log.writer import Conflict, Receipt
from tests.lifecycle.log.events import batch

SECONDS = 30


def results(futures: list[Future[Receipt | Conflict]]) -> list[Receipt | Conflict]:
    return [future.result(SECONDS) for future in futures]


def test_each_request_gets_its_own_outcome(log: Log) -> None:
    writer = GroupCommit(log)
    with log.writing():  # the first waits for it, and the others meanwhile
        futures = [writer.submit(batch("a"))]
        futures += [writer.submit(batch("a", f"{number}")) for number in range(20)]
        futures += [writer.submit(batch("x", "a", amount=7.0))]
    first, *others, last = results(futures)
    assert first == Receipt(1, 0)
    assert set(others) == {Receipt(1, 1)} and last == Conflict(("a",))
    assert last_sequence(log) == 21
    writer.close()


def test_request_whose_caller_has_gone_is_not_written(sqlite_log: Log) -> None:
    writer = GroupCommit(sqlite_log)
    with sqlite_log.writing():
        first = writer.submit(batch("a"))
        while not first.running():
            pass
        gone = writer.submit(batch("b"))
        assert gone.cancel()
    writer.close()
    assert first.result(SECONDS) == Receipt(1, 0)
    assert last_sequence(sqlite_log) == 1


def test_failure_is_told_to_everybody_and_the_next_group_is_written(sqlite_log: Log) -> None:
    writer = GroupCommit(sqlite_log)
    rename = f"ALTER TABLE {EVENTS.name} RENAME TO gone"
    with sqlite_log.writing() as connection:
        connection.execute(text(rename))
        futures = [writer.submit(batch("a")), writer.submit(batch("b"))]
    for future in futures:
        with pytest.raises(LogUnavailable):
            future.result(SECONDS)
    with sqlite_log.writing() as connection:
        connection.execute(text(f"ALTER TABLE gone RENAME TO {EVENTS.name}"))
    assert writer.submit(batch("a")).result(SECONDS) == Receipt(1, 0)
    writer.close()
