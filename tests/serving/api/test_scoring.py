import json

import pytest
from fastapi.testclient import TestClient

from serving.api.responses import RecommendationResponse, ValueResponse
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.serving.builders import KNOWN, PURCHASE, fields, post


def test_value_by_id_and_by_events_in_the_order_asked(client: TestClient) -> None:
    customers = [
        {"customer_id": "c7"},
        {"events": [PURCHASE], "customer_id": "new"},
        {"customer_id": "c1"},
    ]
    response = post(client, {"customers": customers})
    assert response.status_code == 200, response.text
    answer = ValueResponse.model_validate(response.json())
    assert [customer.customer_id for customer in answer.customers] == ["c7", "new", "c1"]
    assert response.headers["Cache-Control"] == "no-store"


def test_answers_are_those_of_the_predictor(
    client: TestClient, predictor: Predictor, tiny_shop: TinyShop
) -> None:
    events = EventStore(tiny_shop.data).events_of(["c7"])["c7"]
    [expected] = predictor.value([CustomerQuery("c7", events, {}, None)])
    served = post(client, {"customers": [{"customer_id": "c1"}, {"customer_id": "c7"}]}).json()[
        "customers"
    ][1]
    assert served == json.loads(json.dumps(expected))


def test_recommendations_for_known_and_new_customers(client: TestClient) -> None:
    body = {"customers": [{"customer_id": "c7"}, {"events": [PURCHASE | {"kind": "view"}]}], "k": 5}
    response = post(client, body, "/v1/recommendations")
    answer = RecommendationResponse.model_validate(response.json())
    assert [len(customer.recommendations) for customer in answer.customers] == [5, 5]


def test_items_like_one_item_by_its_id(client: TestClient, predictor: Predictor) -> None:
    place = "/v1/items/i5/similar"
    response = post(client, {"k": 4}, place)
    assert response.status_code == 200, response.text
    assert response.json() == predictor.similar("i5", RecommendOptions(k=4))
    assert len(post(client, {}, place).json()["similar"]) == 10
    unknown = post(client, {}, "/v1/items/no%20body%2Fhere/similar")
    assert (unknown.status_code, unknown.json()["detail"]) == (
        404,
        "the catalogue has no item 'no body/here'",
    )
    assert fields(post(client, {"k": 0}, place)) == ["k"]
    assert fields(post(client, {"min_new_share": 0.5}, place)) == ["min_new_share"]
    assert fields(post(client, {"exclude": ["nobody"]}, place)) == ["exclude.0"]
    assert client.post(place, json={}, headers={"Authorization": ""}).status_code == 401


def test_as_of_in_the_past_leaves_out_what_came_after(client: TestClient) -> None:
    late = PURCHASE | {"occurred_at": "2024-12-01", "amount": 5000.0}
    early = {"events": [PURCHASE], "as_of": "2024-11-15"}
    both = {"events": [PURCHASE, late], "as_of": "2024-11-15"}
    first, second = post(client, {"customers": [early, both]}).json()["customers"]
    assert first == second


@pytest.mark.parametrize("path", ["/v1/value", "/v1/recommendations"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 50_000, b'{"customers": NaN}']
)
def test_malformed_body_is_refused(client: TestClient, path: str, content: bytes) -> None:
    response = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert fields(response) in (["body"], ["customers"])


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_other_content_types_are_refused(client: TestClient, content_type: str) -> None:
    response = client.post(
        "/v1/value", content=json.dumps(KNOWN), headers={"Content-Type": content_type}
    )
    assert fields(response) == ["Content-Type"]


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_is_refused(client: TestClient, chunked: bool) -> None:
    content = json.dumps({"customers": [{"customer_id": "c" * 200_000}]}).encode()
    parts = (content[start : start + 1000] for start in range(0, len(content), 1000))
    response = client.post(
        "/v1/value",
        content=parts if chunked else content,
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 413


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "purchase", "amount": 0.0, "occurred_at": "2024-11-01"},
        {
            "kind": "purchase",
            "amount": 1e12,
            "occurred_at": "1900-01-01",
            "item_id": "unknown",
            "order_id": "o",
        },
        {
            "kind": "purchase",
            "amount": 1e-300,
            "occurred_at": "2024-12-31T23:59:59.999999Z",
            "quantity": -1e12,
        },
        {
            "kind": "renewal",
            "amount": 5,
            "occurred_at": "2024-02-29",
            "text": "\u0000\u202e😀",
            "discount": 1e12,
        },
    ],
)
def test_extreme_events_get_an_answer(client: TestClient, event: dict[str, object]) -> None:
    refund = event | {"kind": "refund", "amount": -1e12}
    for events in ([event], [event] * 50, [event, refund]):
        assert post(client, {"customers": [{"events": events}]}).status_code == 200
        assert (
            post(client, {"customers": [{"events": events}]}, "/v1/recommendations").status_code
            == 200
        )
