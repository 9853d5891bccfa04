from datetime import UTC, datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest.event_ids import ID_LENGTH, SAME_EVENT, content_ids, numbered
from training.ingest.quality.counts import QualityCounts

AT = datetime(2024, 1, 1, tzinfo=UTC)
texts = st.none() | st.text(max_size=20)
rows = st.fixed_dictionaries(
    {
        "customer_id": texts,
        "occurred_at": st.none() | st.datetimes(timezones=st.just(UTC)),
        "kind": texts,
        "order_id": texts,
        "item_id": texts,
        "amount": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    }
)


def ids(*events: dict[str, object]) -> list[str]:
    return content_ids(pl.DataFrame(events, schema=EVENT_SCHEMA)).to_list()


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, min_size=1, max_size=8))
def test_ids_are_equal_exactly_where_the_content_is(events: list[dict[str, object]]) -> None:
    contents = [tuple(event[name] for name in SAME_EVENT) for event in events]
    assert len(set(ids(*events))) == len(set(contents))


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, min_size=1, max_size=8))
def test_id_does_not_depend_on_the_other_events(events: list[dict[str, object]]) -> None:
    assert ids(*events) == [ids(event)[0] for event in events]


def test_missing_empty_and_shifted_values_differ() -> None:
    base = {"customer_id": "1", "occurred_at": AT, "kind": "purchase"}
    events = [
        base,
        base | {"order_id": ""},
        base | {"order_id": "x"},
        base | {"item_id": "x"},
        base | {"amount": 0.0},
        base | {"order_id": "\0"},
        base | {"order_id": "12345678"},
        base | {"order_id": "123456789"},
        base | {"order_id": "a", "item_id": "b"},
        base | {"order_id": "ab", "item_id": ""},
        base | {"amount": 1.0},
    ]
    assert len(set(ids(*events))) == len(events)
    assert ids(base | {"amount": -0.0}) == ids(base | {"amount": 0.0})


def test_ids_are_the_same_in_every_run_and_version() -> None:
    event = {
        "customer_id": "17850",
        "occurred_at": AT,
        "kind": "purchase",
        "order_id": "536365",
        "amount": 15.3,
    }
    assert ids(event) == [by_hand(["17850", AT, "purchase", "536365", None, 15.3])]


def by_hand(values: list[object]) -> str:
    """The same hash on Python's integers, one event at a time."""
    import base64
    import struct

    mask = (1 << 64) - 1

    def mixed(low: int, high: int) -> tuple[int, int]:
        low = low + high * 0x9E3779B97F4A7C15 & mask
        high = high + low * 0xD1342543DE82EF95 & mask
        finished = []
        for word in (low, high):
            word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & mask
            word = (word ^ word >> 27) * 0x94D049BB133111EB & mask
            finished.append(word ^ word >> 31)
        return finished[0], finished[1]

    low = high = 0
    for value in values:
        if isinstance(value, datetime):
            low, high = mixed(low + int(value.timestamp()) * 1_000_000 & mask, high)
        elif isinstance(value, float):
            low, high = mixed(low + int.from_bytes(struct.pack("<d", value), "little") & mask, high)
        else:
            data = str(value or "").encode()
            high = high + (len(data) if value is not None else -1) & mask
            for start in range(0, len(data) or 1, 8):
                low, high = mixed(
                    low + int.from_bytes(data[start : start + 8], "little") & mask, high
                )
    return base64.urlsafe_b64encode(struct.pack("<QQ", low, high)[: ID_LENGTH * 6 // 8]).decode()


def test_equal_ids_are_told_apart_by_number_and_counted() -> None:
    quality = QualityCounts()
    assert numbered(pl.Series(["a", "b", "a", "a"]), quality).to_list() == ["a", "b", "a-1", "a-2"]
    assert quality.num_equal_events == 2
    assert numbered(pl.Series(["a", "b"]), quality).to_list() == ["a", "b"]
