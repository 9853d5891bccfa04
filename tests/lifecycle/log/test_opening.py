"""Which logs are opened, and what is said of the others."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import update

from lifecycle.log.database import Log, durability, parse_url, shown_url
from lifecycle.log.opening import make_log, open_log
from lifecycle.log.reader import last_sequence
from lifecycle.log.schema import LOG
from lifecycle.log.writer import append
from tests.lifecycle.log.events import batch
from tests.lifecycle.log.postgres import Server


def test_log_is_the_same_when_it_is_opened_again(log: Log) -> None:
    append(log, [batch("a")])
    for other in (make_log(log.url), open_log(log.url)):
        assert (other.identity, last_sequence(other)) == (log.identity, 1)
        other.engine.dispose()


def test_two_logs_are_told_apart(tmp_path: Path) -> None:
    names = ("one", "two")
    assert len({make_log(f"sqlite:///{tmp_path / name}").identity for name in names}) == 2


def test_log_of_a_newer_version_is_refused(log: Log) -> None:
    with log.writing() as connection:
        connection.execute(update(LOG).values(format_version=3))
    for opens in (make_log, open_log):
        with pytest.raises(ValueError, match="format version 3; this is 2: a newer Evervalue"):
            opens(log.url)


def test_log_that_is_not_there_is_not_made_by_opening_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no log at|holds no log"):
        open_log(url)
    assert not list(tmp_path.iterdir())


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database " * 200)
    for opens in (make_log, open_log):
        with pytest.raises(ValueError, match="notes.txt cannot be used: file is not a database"):
            opens(f"sqlite:///{path}")


def test_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere does not exist"):
        make_log(f"sqlite:///{tmp_path / 'nowhere' / 'log.db'}")


@pytest.mark.parametrize(
    "url", ["", "log.db", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "postgresql://h"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be sqlite:///PATH or postgresql://"):
        parse_url(url)


def test_passwords_are_not_shown() -> None:
    with pytest.raises(ValueError) as error:
        open_log("postgresql://me:secret@127.0.0.1:1/d")
    assert "secret" not in str(error.value) and "cannot be used" in str(error.value)
    assert shown_url("postgresql://me:secret@h/d") == "postgresql://me:***@h/d"


def test_relative_path_becomes_that_of_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = make_log("sqlite:///log.db")
    assert log.path == tmp_path / "log.db"
    assert log.url == f"sqlite:///{tmp_path / 'log.db'}"


@pytest.mark.integration
@pytest.mark.thorough
def test_commits_are_durable_where_the_database_is_set_otherwise(server: Server) -> None:
    url = server.new_database()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    log = make_log(url)
    with log.writing() as writing:
        assert durability(writing) == "on"
    log.engine.dispose()
