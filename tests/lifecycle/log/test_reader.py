from datetime import UTC, datetime

import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.log.database import Log
from lifecycle.log.reader import events_after, last_sequence, pages
from lifecycle.log.writer import append
from tests.lifecycle.log.events import batch


def test_events_of_customers_after_a_position(log: Log) -> None:
    assert events_after(log, 0, ["c1"]).schema == EVENT_SCHEMA
    append(log, [batch("a", "b"), batch("c", customer_id="c2"), batch("d", customer_id="c3")])
    append(log, [batch("e", occurred_at=datetime(2020, 1, 1, tzinfo=UTC))])
    found = events_after(log, 1, ["c1", "c3", "nobody"])
    assert found["event_id"].to_list() == ["b", "d", "e"]
    assert events_after(log, 5, ["c1"]).is_empty()
    assert events_after(log, 0, []).is_empty()


def test_pages_hold_every_event_once_in_order(log: Log) -> None:
    assert list(pages(log, 0, last_sequence(log))) == []
    names = [f"{number:02d}" for number in range(25)]
    append(log, [batch(*names)])
    found = list(pages(log, 3, 23, page_events=7))
    assert [page.height for page in found] == [7, 7, 6]
    assert pl.concat(found)["event_id"].to_list() == names[3:23]
