"""A disk that fills up while events are acknowledged: all of these are there, and it goes on when there is room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.log.database import Log
from lifecycle.log.opening import make_log
from lifecycle.log.problems import LogFull
from lifecycle.log.reader import customers_since, last_sequence
from lifecycle.log.writer import Batch, Receipt, append
from tests.lifecycle.log.events import batch
from tests.lifecycle.log.postgres import Server, give
from tests.small_disk import fill, small_disk

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
BATCH = 100
DISK_MB = 40  # an empty database of PostgreSQL takes eight


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(DISK_MB) as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def log(request: pytest.FixtureRequest, disk: Path) -> Iterator[Log]:
    if request.param == "sqlite":
        url = f"sqlite:///{disk / 'log.db'}"
    else:
        server: Server = request.getfixturevalue("server")
        give(disk)
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        url = server.new_database("TABLESPACE small")
    log = make_log(url)
    yield log
    log.engine.dispose()
    if request.param == "postgresql":
        server.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")
        server.execute("DROP TABLESPACE small")


def numbered(number: int) -> Batch:
    return batch(*(f"{number}-{place:0200d}" for place in range(BATCH)))


def test_full_disk_loses_nothing_and_the_log_goes_on_when_there_is_room(
    log: Log, disk: Path
) -> None:
    ballast = fill(disk, bytes_left=2_000_000)
    acknowledged = 0
    with pytest.raises(LogFull, match="no room"):
        while True:
            assert append(log, [numbered(acknowledged)]) == [Receipt(BATCH, 0)]
            acknowledged += 1
    assert acknowledged > 0
    with pytest.raises(LogFull):
        append(log, [numbered(acknowledged)])
    found = customers_since(log, 0, ["c1"]).events["event_id"]
    assert found.n_unique() == len(found) == last_sequence(log) == acknowledged * BATCH
    ballast.unlink()
    assert append(log, [numbered(acknowledged)]) == [Receipt(BATCH, 0)]
    assert last_sequence(log) == (acknowledged + 1) * BATCH
