"""Requests: what they may hold, and which field of a wrong one is named."""

import json
from datetime import UTC, datetime

import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from serving.api.fields import Limits, Reading, parse_instant
from serving.api.histories import event_frame
from serving.api.requests import RecommendationRequest, ValueRequest, parse
from serving.predict.problems import InvalidRequest, Problem

NOW = datetime(2026, 6, 1, tzinfo=UTC)
READING = Reading(Limits(max_customers=3, max_events=4), NOW)
PURCHASE = {"occurred_at": "2026-01-31T18:30:00Z", "kind": "purchase", "amount": 3.5}


def problems(
    body: object, model: type[ValueRequest] | type[RecommendationRequest] = ValueRequest
) -> tuple[Problem, ...]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidRequest) as error:
        parse(model, text, READING)
    return error.value.problems


def with_event(**changes: object) -> dict[str, object]:
    return {"customers": [{"customer_id": "a"}, {"events": [PURCHASE, PURCHASE | changes]}]}


def test_request_by_id_and_by_events() -> None:
    body = {
        "customers": [
            {"customer_id": "a"},
            {"events": [PURCHASE], "attributes": {"age": 30, "vip": True}},
        ]
    }
    request = parse(ValueRequest, json.dumps(body).encode(), READING)
    assert [customer.customer_id for customer in request.customers] == ["a", None]
    assert request.customers[1].attributes == {"age": 30, "vip": True}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T18:30:00Z", datetime(2026, 1, 31, 18, 30, tzinfo=UTC)),
        ("2026-01-31T18:30:00+02:00", datetime(2026, 1, 31, 16, 30, tzinfo=UTC)),
        ("2026-01-31 18:30", datetime(2026, 1, 31, 18, 30, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_instants_become_utc(text: str, expected: datetime) -> None:
    assert parse_instant(text) == expected
    assert parse_instant(text).utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    "value", [1700000000, "1700000000", "yesterday", "0001-01-01T00:00+23:59", "9999-12-31", None]
)
def test_other_instants_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_instant(value)
    assert problems(with_event(occurred_at=value))[0].field == "customers.1.events.1.occurred_at"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": -1}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": "3"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 1e13}, "amount"),
        ({"kind": "refund", "amount": 2}, "amount"),
        ({"kind": "renewal", "amount": -2}, "amount"),
        ({"kind": "buy"}, "kind"),
        ({"kind": 5}, "kind"),
        ({"discount": -1}, "discount"),
        ({"item_id": ""}, "item_id"),
        ({"item_id": "i" * 257}, "item_id"),
        ({"item_id": 7}, "item_id"),
        ({"text": "x" * 2001}, "text"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_event_is_refused_by_its_field(changes: dict[str, object], field: str) -> None:
    assert problems(with_event(**changes))[0].field == f"customers.1.events.1.{field}"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_must_be_finite(number: str) -> None:
    body = json.dumps(with_event(quantity="?")).replace('"?"', number)
    [problem] = problems(body.encode())
    assert problem == Problem("customers.1.events.1.quantity", "Input should be a finite number")


@pytest.mark.parametrize(
    ("customer", "field"),
    [
        ({}, "customers.0"),
        ({"customer_id": None}, "customers.0"),
        ({"customer_id": ""}, "customers.0.customer_id"),
        ({"customer_id": 5}, "customers.0.customer_id"),
        ({"events": []}, "customers.0.events"),
        ({"events": [PURCHASE] * 5}, "customers.0.events"),
        ({"events": [PURCHASE | {"event_id": "e"}] * 2}, "customers.0.events"),
        ({"customer_id": "a", "events": [PURCHASE | {"customer_id": "b"}]}, "customers.0"),
        ({"customer_id": "a", "as_of": "soon"}, "customers.0.as_of"),
        (
            {"customer_id": "a", "attributes": {"x": "y" * 257}},
            "customers.0.attributes.x.constrained-str",
        ),
        (
            {"customer_id": "a", "attributes": {"annual_discount_rate": -1}},
            "customers.0.attributes",
        ),
        (
            {"customer_id": "a", "attributes": {"annual_discount_rate": "0.1"}},
            "customers.0.attributes",
        ),
        ({"customer_id": "a", "name": "b"}, "customers.0.name"),
    ],
)
def test_bad_customer_is_refused_by_its_field(customer: dict[str, object], field: str) -> None:
    assert problems({"customers": [customer]})[0].field == field


def test_few_customers_are_explained_by_events() -> None:
    reading = Reading(Limits(max_customers=100, max_events=4), NOW)
    for count in (8, 9):
        body = json.dumps(
            {"customers": [{"customer_id": "a"}] * count, "explain": "events"}
        ).encode()
        if count == 8:
            assert parse(ValueRequest, body, reading).explain == "events"
        else:
            with pytest.raises(InvalidRequest, match="explain: events is for at most 8 customers"):
                parse(ValueRequest, body, reading)


@pytest.mark.parametrize("customers", [[], [{"customer_id": "a"}] * 4, None, {}, "a"])
def test_number_of_customers_is_limited(customers: object) -> None:
    assert problems({"customers": customers})[0].field == "customers"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"k": 0}, "k"),
        ({"k": 101}, "k"),
        ({"k": 1.5}, "k"),
        ({"candidates": []}, "candidates"),
        ({"candidates": ["i"] * 1001}, "candidates"),
        ({"exclude": [1]}, "exclude.0"),
        ({"min_price": -1}, "min_price"),
        ({"min_price": 5, "max_price": 4}, "max_price"),
        ({"in_stock": "yes"}, "in_stock"),
        ({"query": ""}, "query"),
        ({"objective": "profit"}, "objective"),
        ({"bought_within_days": 0}, "bought_within_days"),
        ({"max_per_category": 0}, "max_per_category"),
        ({"min_new_share": 1.5}, "min_new_share"),
    ],
)
def test_bad_option_is_refused_by_its_field(options: dict[str, object], field: str) -> None:
    assert (
        problems({"customers": [{"customer_id": "a"}]} | options, RecommendationRequest)[0].field
        == field
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"customers": [{"customer_id": "\\ud800"}]}',
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    assert problems(body)[0].field == "body"


def test_messages_do_not_repeat_values() -> None:
    secret = "alice@example.com"
    for body in (
        with_event(kind=secret),
        with_event(amount=secret),
        with_event(occurred_at=secret),
    ):
        assert secret not in str(problems(body))


def test_event_frame_has_the_event_schema_by_time() -> None:
    late = PURCHASE | {"occurred_at": "2026-02-01", "event_id": "late", "item_id": "i1"}
    body = {"customers": [{"customer_id": "a", "events": [late, PURCHASE]}]}
    frame = event_frame(parse(ValueRequest, json.dumps(body).encode(), READING).customers[0])
    assert frame.schema == EVENT_SCHEMA
    assert frame["event_id"].to_list() == ["request-1", "late"]
    assert frame["customer_id"].to_list() == ["a", "a"]
    assert frame["amount"].to_list() == [3.5, 3.5]


@pytest.mark.parametrize("days", [0, -1, 40_000, "30"])
def test_plan_days_out_of_bounds_are_refused_by_their_field(days: object) -> None:
    body = with_event(plan_days=days)
    assert problems(body)[0].field == "customers.1.events.1.plan_days"
    parse(ValueRequest, json.dumps(with_event(plan_days=365)).encode(), READING)


def test_events_more_than_a_day_ahead_are_refused() -> None:
    parse(
        ValueRequest, json.dumps(with_event(occurred_at="2026-06-01T23:59:00Z")).encode(), READING
    )
    [problem] = problems(with_event(occurred_at="2026-06-02T00:01:00Z"))
    assert problem.field == "customers.1.events.1.occurred_at"
    assert "more than a day ahead" in problem.message
