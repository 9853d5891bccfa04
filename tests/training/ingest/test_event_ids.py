from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.events.schema import EVENT_SCHEMA
from tests.training.ingest.recipes import BASE, recipe, run
from training.ingest.event_ids import ID_LENGTH, SAME_EVENT, content_ids, numbered
from training.ingest.job import ingest
from training.ingest.sources import Source
from training.ingest.tables.parsing import RawColumn
from training.ingest.tables.times import parse_versions

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


def test_equal_ids_are_told_apart_by_number() -> None:
    assert numbered(pl.Series(["a", "b", "a", "a"])).to_list() == ["a", "b", "a-1", "a-2"]
    assert numbered(pl.Series(["a", "b"])).to_list() == ["a", "b"]


ORDERS = {"event_id": "o", "customer_id": "c", "occurred_at": "t", "amount": "a"}


def orders(path: Path, *lines: str, **columns: str) -> dict[str, object]:
    """A source of lines `order,customer,time,amount,updated`."""
    path.write_text("\n".join(["o,c,t,a,u", *lines]) + "\n")
    return {"path": str(path), "columns": ORDERS | columns}


FIRST = ("A,1,2024-01-01,5,2024-01-02", "B,1,2024-01-02,6,2024-01-02")
CORRECTED = ("A,1,2024-01-01,7,2024-02-01", "B,1,2024-01-02,6,2024-02-01")


@pytest.mark.parametrize(
    ("rule", "columns", "amount", "replaced"),
    [("latest", {}, 7.0, 5.0), ("first", {}, 5.0, 7.0)]
    + [("latest", {"version": "u"}, 7.0, 5.0), ("first", {"version": "u"}, 5.0, 7.0)],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_corrected_rows_replace_each_other_by_version_or_by_the_order_of_reading(
    tmp_path: Path,
    rule: str,
    columns: dict[str, str],
    amount: float,
    replaced: float,
    swapped: bool,
) -> None:
    exports = [FIRST, CORRECTED]
    if swapped and columns:
        exports.reverse()  # the version says which is later
    sources = [
        orders(tmp_path / f"{number}.csv", *lines, **columns)
        for number, lines in enumerate(exports)
    ]
    events, report = run(recipe(tmp_path / "data", *sources, on_repeated_id=rule))
    assert events.select("event_id", "amount").rows() == [("A", amount), ("B", 6.0)]
    dropped = report["account"]["dropped"]
    assert dropped["replaced_event_id"]["purchases"] == replaced
    assert dropped["duplicate_event_id"]["purchases"] == 6.0


def test_versions_may_be_numbers_and_equal_ones_may_not_contradict(tmp_path: Path) -> None:
    lines = ("A,1,2024-01-01,5,9", "A,1,2024-01-01,7,10", "A,1,2024-01-01,6,2")
    source = orders(tmp_path / "x.csv", *lines, version="u")
    events, _ = run(recipe(tmp_path / "data", source, on_repeated_id="latest"))
    assert events["amount"].to_list() == [7.0]
    source = orders(tmp_path / "y.csv", *lines, "A,1,2024-01-01,8,10", version="u")
    with pytest.raises(ValueError, match=r"contradict each other: .*; both have version 10.0"):
        ingest(recipe(tmp_path / "other", source, on_repeated_id="latest"))


def test_contradicting_rows_are_an_error_that_says_the_remedy(tmp_path: Path) -> None:
    source = orders(tmp_path / "x.csv", *FIRST, *CORRECTED)
    with pytest.raises(ValueError, match=r"'A' .*'amount': \(5.0, 7.0\)}; say on_repeated_id"):
        ingest(recipe(tmp_path / "data", source))


def test_version_that_is_no_number_and_no_time_is_named(tmp_path: Path) -> None:
    source = orders(tmp_path / "x.csv", "A,1,2024-01-01,5,new", version="u")
    with pytest.raises(ValueError, match="row 1 after the header: version is 'new', neither"):
        ingest(recipe(tmp_path / "data", source))


def test_versions_that_are_dates_compare_with_times() -> None:
    days = RawColumn(pl.Series(["20240701", ""]), pl.Series([1, 2]), "version")
    times = RawColumn(pl.Series(["2024-06-01"]), pl.Series([1]), "version")
    source = Source.model_validate({"path": "x", "columns": BASE})
    later, absent = parse_versions(days, source).to_list()
    assert absent is None and later > parse_versions(times, source).item()
    numbers = RawColumn(pl.Series(["1", "20240701"]), pl.Series([1, 2]), "version")
    assert parse_versions(numbers, source).to_list() == [1.0, 20240701.0]
