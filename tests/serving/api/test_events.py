"""Events over HTTP: what is acknowledged, what is refused, and that the next answer of any gateway reflects them."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from lifecycle.log.database import Log
from lifecycle.log.reader import last_sequence
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.serving.builders import (
    KNOWN,
    PURCHASE,
    fields,
    post,
)

NEW = PURCHASE | {"event_id": "n1", "customer_id": "c1", "amount": 250.0}


def send(client: TestClient, *events: dict[str, object]) -> tuple[int, object]:
    response = post(client, {"events": list(events)}, "/v1/events")
    return response.status_code, response.json()


def test_next_answer_of_any_gateway_reflects_events(gateways: list[TestClient]) -> None:
    one, other = gateways
    turns = [
        (one, other, "/v1/value"),
        (other, one, "/v1/value"),
        (one, other, "/v1/recommendations"),
    ]
    for day, (sender, asked, path) in enumerate(turns, 1):
        before = post(asked, KNOWN, path).json()["customers"][0]
        event = NEW | {"event_id": f"{day}", "occurred_at": f"2025-01-0{day}"}
        assert send(sender, event) == (200, {"accepted": 1, "duplicates": 0, "refused": 0})
        after = post(asked, KNOWN, path).json()["customers"][0]
        assert before["as_of"] < after["as_of"] == f"2025-01-0{day}T00:00:00.000001+00:00"
        assert path != "/v1/value" or before["clv"] != after["clv"]


def test_answer_equals_that_of_the_whole_history_in_the_request(
    gateways: list[TestClient], tiny_shop: TinyShop
) -> None:
    client, _ = gateways
    known = EventStore(tiny_shop.data).events_of(["c1"])["c1"]
    send(
        client, NEW, NEW | {"event_id": "n2", "kind": "view", "occurred_at": "2024-12-01T10:00:00Z"}
    )
    [stored] = post(client, KNOWN).json()["customers"]
    names = ("event_id", "occurred_at", "kind", "order_id", "item_id", "quantity", "amount")
    rows = [
        {name: row[name] for name in names} | {"occurred_at": row["occurred_at"].isoformat()}
        for row in known.iter_rows(named=True)
    ]
    added = [
        NEW | {"event_id": "n1"},
        NEW | {"event_id": "n2", "kind": "view", "occurred_at": "2024-12-01T10:00:00Z"},
    ]
    whole = {"customer_id": "c1", "events": rows + added, "as_of": stored["as_of"]}
    [given] = post(client, {"customers": [whole]}).json()["customers"]
    assert stored == given


def test_customer_that_only_the_log_knows_is_answered(gateways: list[TestClient]) -> None:
    client, other = gateways
    body = {"customers": [{"customer_id": "newcomer"}]}
    assert post(client, body).status_code == 404
    send(client, NEW | {"customer_id": "newcomer"})
    assert post(other, body).json()["customers"][0]["customer_id"] == "newcomer"


def test_events_are_taken_once_whatever_the_gateway(gateways: list[TestClient], log: Log) -> None:
    one, other = gateways
    impression = {
        "event_id": "i",
        "customer_id": "c1",
        "kind": "impression",
        "occurred_at": "2025-01-01",
    }
    click = impression | {"event_id": "k", "kind": "click", "impression_id": "i"}
    assert send(one, NEW, impression) == (200, {"accepted": 2, "duplicates": 0, "refused": 0})
    assert send(other, click, NEW) == (200, {"accepted": 1, "duplicates": 1, "refused": 0})
    assert last_sequence(log) == 3


def test_id_of_another_event_is_named_and_nothing_is_written(
    gateways: list[TestClient], log: Log
) -> None:
    one, other = gateways
    send(one, NEW)
    status, told = send(other, NEW | {"event_id": "n2"}, NEW | {"amount": 1.0})
    assert status == 409
    assert "'n1'" in str(told) and "nothing of this request was written" in str(told)
    assert last_sequence(log) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"occurred_at": "2190-01-01"}, "events.1.occurred_at"),
        ({"kind": "buy"}, "events.1.kind"),
        ({"event_id": None}, "events.1"),
        ({"customer_id": None}, "events.1"),
        ({"event_id": ""}, "events.1.event_id"),
        ({"customer_id": " c1"}, "events.1"),
        ({"text": "a\0b"}, "events.1"),
        ({"quantity": -1}, "events.1"),
        ({"amount": -1}, "events.1.amount"),
        ({"colour": "red"}, "events.1.colour"),
    ],
)
def test_bad_event_is_named_and_nothing_is_written(
    gateways: list[TestClient], log: Log, change: dict[str, object], field: str
) -> None:
    body = {"events": [NEW, NEW | {"event_id": "n2"} | change]}
    assert fields(post(gateways[0], body, "/v1/events")) == [field]
    assert last_sequence(log) == 0


def test_ten_thousand_events_are_taken_and_one_more_is_refused(
    gateways: list[TestClient], log: Log
) -> None:
    client = gateways[0]
    events = [NEW | {"event_id": f"e{number}"} for number in range(10_001)]
    assert fields(post(client, {"events": events}, "/v1/events")) == ["events"]
    assert fields(post(client, {"events": []}, "/v1/events")) == ["events"]
    assert last_sequence(log) == 0
    assert send(client, *events[1:]) == (200, {"accepted": 10_000, "duplicates": 0, "refused": 0})
    assert last_sequence(log) == 10_000


def test_full_log_is_507_and_locked_one_503(
    gateways: list[TestClient], opened: list[Log], log: Log
) -> None:
    with opened[0].engine.connect() as connection:
        used = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {used}"))
        connection.execute(text("PRAGMA busy_timeout = 1"))
    events = [NEW | {"event_id": f"{number:0200d}"} for number in range(300)]
    status, told = send(gateways[0], *events)
    assert status == 507 and "no room" in str(told)
    with log.writing():
        response = post(gateways[0], {"events": [NEW]}, "/v1/events")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "locked" in response.json()["detail"]
    assert last_sequence(log) == 0
    assert send(gateways[1], *events)[0] == 200


def test_answer_that_cannot_read_the_log_is_503(gateways: list[TestClient], log: Log) -> None:
    with log.writing() as connection:
        connection.execute(text("ALTER TABLE evervalue_log RENAME TO gone"))
    response = post(gateways[0], KNOWN)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


def test_without_a_log_events_are_not_taken(anonymous: TestClient, keys: dict[str, str]) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys['write']}"
    status, told = send(anonymous, NEW)
    assert status == 501 and "log=sqlite:///PATH" in str(told)
    anonymous.headers["Authorization"] = f"Bearer {keys['score']}"
    assert send(anonymous, NEW)[0] == 403
