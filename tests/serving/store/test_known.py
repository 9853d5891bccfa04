"""Who is answered from state: everybody who has it, and of whom the log holds nothing later."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.events.log_position import LogPosition
from lifecycle.log.database import Log
from lifecycle.log.opening import make_log
from lifecycle.log.writer import append
from lifecycle.state.answers import Answer, encoded
from serving.store.known import KnownCustomers
from serving.store.since import SinceData
from tests.builders import CUTOFF
from tests.lifecycle.log.events import batch
from tests.lifecycle.state.builders import part_of, write_state

ANSWERS: list[Answer] = [{"customer_id": "c1", "clv": 1.5}, {"customer_id": "c2", "clv": 2.5}]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}")
    yield log
    log.engine.dispose()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return write_state(tmp_path / "state", part_of(*ANSWERS))


def test_without_a_log_all_who_have_state_are_known(state: Path) -> None:
    known = KnownCustomers(state, None)
    one, two = map(encoded, ANSWERS)
    assert known.answers(["c2", None, "c3", "c1"]) == [two, None, None, one]
    assert known.answers_at_once(["c2", "c1", "c2"]) == [two, one, two]
    assert known.answers_at_once(["c2", "c3"]) is None


def test_event_in_the_log_makes_its_own_customer_unknown_from_the_next_look_up(
    state: Path, log: Log
) -> None:
    append(log, [batch("contained")])
    position = LogPosition(identity=log.identity, sequence=1)
    known = KnownCustomers(state, SinceData(log, position, "UTC"))
    assert known.answers_at_once(["c1", "c2"]) is not None
    append(log, [batch("later")])
    assert known.answers_at_once(["c1", "c2"]) is None
    assert known.answers_at_once(["c2"]) == [encoded(ANSWERS[1])]
    assert known.answers(["c1", "c2"]) == [None, encoded(ANSWERS[1])]


def test_age_is_counted_from_the_instant_of_the_state(state: Path) -> None:
    known = KnownCustomers(state, None)
    assert known.age_seconds(CUTOFF + timedelta(seconds=90.7)) == 90
    assert known.age_seconds(CUTOFF - timedelta(seconds=5)) == 0
