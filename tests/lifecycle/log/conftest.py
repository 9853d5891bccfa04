"""Logs of both databases; the PostgreSQL server is started for the tests and ended with them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.log.database import Log
from lifecycle.log.opening import make_log
from tests.lifecycle.log.postgres import Server, running_server

SERVER = [pytest.mark.integration, pytest.mark.thorough]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=SERVER)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no log is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    server: Server = request.getfixturevalue("server")
    return server.new_database()


@pytest.fixture
def log(url: str) -> Iterator[Log]:
    log = make_log(url)
    yield log
    log.engine.dispose()


@pytest.fixture
def sqlite_log(tmp_path: Path) -> Iterator[Log]:
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}")
    yield log
    log.engine.dispose()
