"""A PostgreSQL server that goes away, cuts connections or changes: what is told, and how the same log goes on."""

import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from lifecycle.log.database import Log
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.opening import make_log
from lifecycle.log.problems import LogUnavailable
from lifecycle.log.reader import customers_since
from lifecycle.log.schema import EVENTS
from lifecycle.log.writer import Receipt, append
from tests.lifecycle.log.callers import SECONDS, Callers
from tests.lifecycle.log.events import batch
from tests.lifecycle.log.postgres import Server, running_server

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname LIKE 'log%'"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of its own, which is ended on the way."""
    with running_server() as server:
        yield server


@pytest.fixture
def log(server: Server) -> Iterator[Log]:
    log = make_log(server.new_database())
    yield log
    log.engine.dispose()


def ids_of(log: Log) -> list[str]:
    return customers_since(log, 0, ["c1"]).events["event_id"].to_list()


def test_server_that_starts_again_has_every_acknowledged_event_once(
    server: Server, log: Log
) -> None:
    writer = GroupCommit(log)
    callers = Callers(lambda name: writer.submit(batch(name)).result(SECONDS), LogUnavailable)
    with callers.calling():
        for how in (signal.SIGQUIT, signal.SIGINT):
            callers.wait_for_more(50)
            server.stop(how)
            time.sleep(0.3)
            server.start()
        callers.wait_for_more(50)
    writer.close()
    found = ids_of(log)
    assert callers.refusals
    assert len(found) == len(set(found)) and set(found) == set(callers.acknowledged)


def test_connections_that_are_cut_are_replaced(server: Server, log: Log) -> None:
    append(log, [batch("a")])
    server.execute(CUT)
    assert append(log, [batch("b")]) == [Receipt(1, 0)]
    with pytest.raises(LogUnavailable, match="does not answer"), log.writing() as connection:
        server.execute(CUT)
        connection.execute(select(EVENTS.c.sequence))
    assert append(log, [batch("c")]) == [Receipt(1, 0)]
    assert ids_of(log) == ["a", "b", "c"]


def test_server_that_no_longer_waits_for_its_disk_acknowledges_nothing(
    server: Server, log: Log
) -> None:
    writer = GroupCommit(log)
    assert writer.submit(batch("a")).result(SECONDS) == Receipt(1, 0)
    server.stop()
    server.start("-c", "fsync=off")
    with pytest.raises(LogUnavailable, match="cannot be used: fsync .* is off"):
        writer.submit(batch("b")).result(SECONDS)
    server.stop()
    server.start()
    assert writer.submit(batch("b")).result(SECONDS) == Receipt(1, 0)
    writer.close()
    assert ids_of(log) == ["a", "b"]


def test_server_that_vanishes_is_given_up_in_half_a_minute(log: Log) -> None:
    """TCP's own patience is a quarter of an hour; asked of the connection itself."""
    with log.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        told = driver.info.get_parameters()
    waits = (int(told["keepalives_interval"]), int(told["keepalives_count"]))
    assert int(told["keepalives_idle"]) + waits[0] * waits[1] <= 30
    assert 0 < int(told["tcp_user_timeout"]) <= 30_000
