"""A customer leaves the log: at once, for everybody who reads it, and without a trace in its files."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from lifecycle.erasure.keys import create_keys, rotate_keys
from lifecycle.log.database import Log
from lifecycle.log.erasing import clean_files, erase, find_erasure, holds_events, lift
from lifecycle.log.opening import make_log, open_log
from lifecycle.log.problems import LogUnavailable
from lifecycle.log.reader import all_tombstones, customers_since, last_sequence, pages
from lifecycle.log.schema import EVENTS, LOG, TOMBSTONES
from lifecycle.log.writer import Receipt, append
from tests.lifecycle.log.events import batch

NOW = datetime(2026, 6, 2, tzinfo=UTC)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    create_keys(path, NOW)
    return path


@pytest.fixture
def log(url: str, key: Path) -> Log:
    log = make_log(url, key)
    append(log, [batch("a", "b"), batch("c", customer_id="c2")])
    return log


def test_events_go_and_later_ones_are_refused_by_every_writer(log: Log, key: Path) -> None:
    other = open_log(log.url, key)
    assert holds_events(log, "c1")
    found = erase(log, "c1", NOW)
    assert (found.num_events, holds_events(log, "c1"), last_sequence(log)) == (2, False, 4)
    assert find_erasure(other, "c1") == erase(other, "c1", NOW) == found
    for each in (log, other):
        since = customers_since(each, 0, ["c1", "c2"])
        assert (since.erased, since.sequence, since.last_erasure) == ({"c1"}, 4, 4)
        assert since.events["event_id"].to_list() == ["c"]
    mixed = [batch("d", "e"), batch("f", customer_id="c2"), batch("c", customer_id="c1")]
    assert append(other, mixed) == [Receipt(0, 0, 2), Receipt(1, 0), Receipt(0, 0, 1)]
    [page] = pages(log, 0, last_sequence(log))
    assert page["event_id"].to_list() == ["c", "f"]


def test_customer_comes_back_once_the_tombstone_is_lifted(log: Log, key: Path) -> None:
    other = open_log(log.url, key)
    assert lift(log, "c1", NOW) is None
    erase(log, "c1", NOW)
    assert append(other, [batch("d")]) == [Receipt(0, 0, 1)]
    rotate_keys(key, NOW)  # the old key stays readable
    assert lift(log, "c1", NOW) is not None
    assert append(other, [batch("d")]) == [Receipt(1, 0, 0)]
    again = erase(other, "c1", NOW)
    assert again.num_events == 1
    [first, second] = all_tombstones(log)
    assert first.key != second.key and first.lifted_at == NOW and second.lifted_at is None
    assert customers_since(log, 0, ["c1"]).erased == {"c1"}


def test_nothing_of_the_text_stays_in_the_files(tmp_path: Path, key: Path) -> None:
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", key)
    append(log, [batch("secret-event", customer_id="secret-person", text="secret words")])
    erase(log, "secret-person", NOW)
    assert clean_files(log)
    files = list(tmp_path.glob("log.db*"))
    assert len(files) == 3 and all(b"secret" not in file.read_bytes() for file in files)
    assert append(log, [batch("z")]) == [Receipt(1, 0, 0)]
    log.engine.dispose()


def test_clean_files_of_either_database(log: Log) -> None:
    erase(log, "c1", NOW)
    assert clean_files(log)
    assert append(log, [batch("z", customer_id="c2")]) == [Receipt(1, 0, 0)]


def test_log_with_tombstones_needs_the_key(log: Log, key: Path, tmp_path: Path) -> None:
    erase(log, "c1", NOW)
    for opens in (make_log, open_log):
        with pytest.raises(ValueError, match="none.json does not exist"):
            opens(log.url, tmp_path / "none.json")
    other = tmp_path / "other.json"
    create_keys(other, NOW)
    with pytest.raises(ValueError, match="tombstones were written with key"):
        open_log(log.url, other)
    opened = open_log(log.url, key)
    key.unlink()
    assert customers_since(opened, 0, ["c1"]).erased == {"c1"}  # which it knows already
    with log.writing() as connection:
        connection.execute(update(LOG).values(last_erasure=99))
    with pytest.raises(LogUnavailable, match="who is erased cannot be told"):
        customers_since(opened, 0, ["c1"])


def test_log_from_before_there_were_tombstones_gets_them(log: Log, key: Path) -> None:
    with log.writing() as connection:
        connection.execute(text(f"DROP TABLE {TOMBSTONES.name}"))
        connection.execute(text(f"ALTER TABLE {LOG.name} DROP COLUMN last_erasure"))
        connection.execute(text(f"UPDATE {LOG.name} SET format_version = 1"))
    opened = open_log(log.url, key)
    assert erase(opened, "c1", NOW).num_events == 2
    with opened.reading() as connection:
        assert connection.execute(select(EVENTS.c.event_id)).scalars().all() == ["c"]
