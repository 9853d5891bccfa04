"""What log and export both tell counts once."""

from datetime import date

import polars as pl

from lifecycle.events.log_position import (
    IN_EXPORT,
    IN_LOG,
    UNDECIDED,
    LogPosition,
    overlap,
    with_later,
)
from tests.builders import make_events

UNTIL = {"purchase": date(2024, 3, 1)}  # the day of the builders' cutoff


def reasons(rows: list[dict[str, object]], until: dict[str, date] = UNTIL) -> list[str | None]:
    """Rows whose event_id begins with `log` are the log's."""
    events = make_events([{"order_id": "o", "item_id": "i"} | row for row in rows])
    is_log = pl.col("event_id").str.starts_with("log")
    return events.select(overlap(is_log, until)).to_series().to_list()


def test_until_the_day_the_export_holds_and_then_the_log() -> None:
    same_day = [{"day": 0.1}, {"day": 0.9, "event_id": "log"}]
    later = [{"day": 1.2, "order_id": "p"}, {"day": 1.3, "order_id": "p", "event_id": "log2"}]
    assert reasons(same_day + later) == [None, IN_EXPORT, IN_LOG, None]


def test_what_differs_in_one_of_them_is_another_event() -> None:
    export = {"day": 0.1}
    for change in (
        {"customer_id": "b"},
        {"order_id": "p"},
        {"item_id": "j"},
        {"amount": 1.01},
        {"day": 1.1},
        {"kind": "renewal"},
    ):
        assert reasons([export, export | {"event_id": "log"} | change]) == [None, None], change


def test_event_without_an_order_is_the_same_as_one_of_the_other_side_that_names_any() -> None:
    named, nameless = {"day": 0.1}, {"day": 0.2, "order_id": None}
    assert reasons([named, nameless | {"event_id": "log"}]) == [None, IN_EXPORT]
    assert reasons([nameless, named | {"event_id": "log"}]) == [None, IN_EXPORT]
    assert reasons([named | {"event_id": "log1"}, nameless | {"event_id": "log2"}]) == [None, None]


def test_event_is_the_same_as_one_alone_first_as_that_of_its_order() -> None:
    named, nameless = {"day": 0.1}, {"day": 0.2, "order_id": None}
    log = [named | {"event_id": "log1"}, nameless | {"event_id": "log2"}]
    assert reasons([named, *log]) == [None, IN_EXPORT, None]
    assert reasons([named, named | {"order_id": "p"}, *log]) == [None, None, IN_EXPORT, IN_EXPORT]
    assert reasons([named, nameless, *log]) == [None, None, IN_EXPORT, IN_EXPORT]
    assert reasons([named, log[1], nameless | {"event_id": "log3"}]) == [None, IN_EXPORT, None]


def test_missing_values_are_equal_and_so_are_amounts_but_for_rounding() -> None:
    export = {"day": 0.1, "order_id": None, "item_id": None, "amount": 0.1 + 0.2}
    log = export | {"event_id": "log", "amount": 0.3}
    assert reasons([export, log]) == [None, IN_EXPORT]


def test_as_many_overlap_as_both_have() -> None:
    line, log = {"day": 0.1}, {"day": 0.2}
    rows = [line, log | {"event_id": "log1"}, log | {"event_id": "log2"}, line]
    assert reasons([*rows, log | {"event_id": "log3"}]) == [None, IN_EXPORT, IN_EXPORT, None, None]


def test_kind_that_the_recipe_does_not_name_is_undecided() -> None:
    rows = [{"day": 0.1}, {"day": 0.1, "event_id": "log"}]
    assert reasons(rows, {"refund": date(2024, 3, 1)}) == [UNDECIDED, UNDECIDED]
    assert reasons(rows, {}) == [UNDECIDED, UNDECIDED]


def test_later_events_join_a_customers_own_as_an_ingest_of_both_would_have_them() -> None:
    own = make_events([{"day": -3, "order_id": "o"}, {"day": 0, "order_id": "p"}])
    later = make_events(
        [
            {"day": -1, "event_id": "log1", "kind": "view"},
            {"day": 0, "event_id": "log2", "order_id": "p"},
            {"day": 0, "event_id": "1", "order_id": "p"},
            {"day": 1, "event_id": "log3", "order_id": "q"},
        ]
    )
    position = LogPosition(identity="log", sequence=4, export_holds_until=UNTIL)
    joined = with_later(own, later, position)
    assert joined["event_id"].to_list() == ["0", "log1", "1", "log3"]
    assert with_later(own.clear(), later, position)["event_id"].to_list() == [
        "log1",
        "log2",
        "1",
        "log3",
    ]


def test_later_events_that_the_folder_tells_too_count_once_where_nobody_decided() -> None:
    own = make_events([{"day": 0, "order_id": "p"}])
    later = make_events(
        [
            {"day": 0, "event_id": "log", "order_id": "p"},
            {"day": 0, "event_id": "other", "order_id": "q"},
        ]
    )
    joined = with_later(own, later, LogPosition(identity="log", sequence=0))
    assert joined["event_id"].to_list() == ["0", "other"]
