"""Known customers: the same answers and headers by either way, and a way round the framework that only they take."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request, Response
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from serving.api.application import create_api, with_hot_route
from serving.api.errors import Unavailable
from serving.api.known import MAX_BODY_BYTES, STATE_AGE, HotRoute
from serving.keys import KeyRing
from serving.store.events import EventStore
from serving.store.known import KnownCustomers
from tests.builders import TinyShop
from tests.serving.builders import (
    KNOWN,
    PURCHASE,
    SETTINGS,
    InProcess,
    fields,
    post,
)

BOTH = {"customers": [{"customer_id": "c7"}, {"customer_id": "c1"}]}
NEW = PURCHASE | {"event_id": "n1", "customer_id": "c1", "occurred_at": "2025-01-01"}


def test_known_customers_are_answered_as_computed_ones_without_a_model(
    with_state: TestClient, client: TestClient, backend: InProcess
) -> None:
    computed = post(client, BOTH)
    backend.failure = RuntimeError("the models were asked")
    known = post(with_state, BOTH)
    assert known.status_code == 200 and known.content == computed.content
    assert known.headers.pop(STATE_AGE).isdecimal()
    assert known.headers == computed.headers


def test_mixture_keeps_its_order_and_asks_the_models_for_the_others_alone(
    with_state: TestClient, client: TestClient
) -> None:
    customers = [
        {"customer_id": "c7"},
        {"events": [PURCHASE], "customer_id": "new"},
        {"customer_id": "c1", "as_of": "2024-08-01"},
        {"customer_id": "c1", "attributes": {"annual_discount_rate": 0.5}},
        {"customer_id": "c1"},
    ]
    mixed, computed = (post(one, {"customers": customers}) for one in (with_state, client))
    assert mixed.content == computed.content
    assert STATE_AGE in mixed.headers and STATE_AGE not in computed.headers
    for body in ({"customers": customers[1:4]}, KNOWN | {"explain": "events"}):
        answer = post(with_state, body)
        assert answer.status_code == 200 and STATE_AGE not in answer.headers
        assert answer.content == post(client, body).content


def test_event_counts_in_the_next_answer_and_moves_no_other_customer(
    with_state: TestClient,
) -> None:
    seven, one = post(with_state, BOTH).json()["customers"]
    assert post(with_state, {"events": [NEW]}, "/v1/events").status_code == 200
    after = post(with_state, BOTH)
    assert after.json()["customers"][0] == seven and STATE_AGE in after.headers
    moved = after.json()["customers"][1]
    assert moved["as_of"] == "2025-01-01T00:00:00.000001+00:00" > one["as_of"]
    assert STATE_AGE not in post(with_state, KNOWN).headers


def test_problems_are_named_by_their_places_in_the_whole_request(with_state: TestClient) -> None:
    early = {"customer_id": "c7", "as_of": "2001-01-01"}
    response = post(with_state, {"customers": [{"customer_id": "c1"}, early, early]})
    assert fields(response) == ["customers.1", "customers.2"]
    response = post(with_state, {"customers": [{"customer_id": "c1"}, {"customer_id": "nobody"}]})
    assert (response.status_code, response.json()) == (
        404,
        {"detail": "the event store does not know customer 'nobody'"},
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"customers": []}', b'{"customers": [{"customer_id": ""}]}']
    + [b'{"customers": [{"customer_id": "c1"}], "explain": "x"}', b" " * 200_000],
)
@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; x", "text/plain"])
def test_errors_are_those_of_a_service_without_state(
    with_state: TestClient, client: TestClient, content: bytes, content_type: str
) -> None:
    ways = [
        one.post("/v1/value", content=content, headers={"Content-Type": content_type})
        for one in (with_state, client)
    ]
    assert ways[0].status_code in (413, 422)
    assert ways[0].content == ways[1].content and ways[0].headers == ways[1].headers


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer x", "Basic x", "write"])
def test_callers_without_a_key_for_values_are_refused_as_ever(
    with_state: TestClient, client: TestClient, keys: dict[str, str], authorization: str | None
) -> None:
    answers = []
    for one in (with_state, client):
        del one.headers["Authorization"]
        if authorization is not None:
            secret = f"Bearer {keys['write']}" if authorization == "write" else authorization
            one.headers["Authorization"] = secret
        answers.append(post(one, KNOWN))
    assert answers[0].status_code == (403 if authorization == "write" else 401)
    assert answers[0].content == answers[1].content and answers[0].headers == answers[1].headers


class Framework:
    """What the hot route passes on; it stands where the API is."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.bodies.append(await request.body())
        await Response("passed on")(scope, receive, send)


async def ask(app: HotRoute, secret: str, content: bytes | AsyncIterator[bytes]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post("/v1/value", content=content, headers=headers)


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 50):
        yield content[start : start + 50]


@pytest.fixture
def hot(state: Path, keys: dict[str, str], tmp_path: Path) -> HotRoute:
    """Before a framework of which nothing else is known."""
    ring = KeyRing(tmp_path / "keys.json")
    return HotRoute(Framework(), ring, SETTINGS, KnownCustomers(state, None))


@pytest.mark.parametrize(
    ("body", "is_hot"),
    [
        (BOTH, True),
        (KNOWN | {"explain": "features"}, True),
        (KNOWN | {"explain": "events"}, False),
        ({"customers": [{"customer_id": "c1"}, {"customer_id": "nobody"}]}, False),
        ({"customers": [{"customer_id": "c1", "events": [PURCHASE]}]}, False),
        ({"customers": [{"customer_id": "c1", "attributes": {"a": 1}}]}, False),
        ({"customers": [{"customer_id": "c1", "as_of": "2024-08-01"}]}, False),
        ({"customers": [{"customer_id": "x" * MAX_BODY_BYTES}]}, False),
    ],
)
def test_only_known_customers_pass_by_the_framework_and_nothing_is_lost_on_the_way(
    hot: HotRoute, keys: dict[str, str], body: dict[str, object], is_hot: bool
) -> None:
    content = json.dumps(body).encode()
    for sent in (content, in_pieces(content)):
        response = asyncio.run(ask(hot, keys["score"], sent))
        assert (response.text != "passed on") == is_hot
        assert isinstance(hot.app, Framework) and hot.app.bodies == ([] if is_hot else [content])
        hot.app.bodies.clear()


def test_known_customers_are_answered_while_models_load_or_are_busy(
    tiny_shop: TinyShop, backend: InProcess, keys: dict[str, str], tmp_path: Path, state: Path
) -> None:
    backend.failure = Unavailable()
    ring, store = KeyRing(tmp_path / "keys.json"), EventStore(tiny_shop.data)
    known = KnownCustomers(state, None)
    api = create_api(SETTINGS, ring, store, backend, known=known)
    with TestClient(with_hot_route(api, SETTINGS, ring, known)) as client:
        client.headers["Authorization"] = f"Bearer {keys['score']}"
        assert post(client, BOTH).status_code == 200
        assert post(client, {"customers": [{"events": [PURCHASE]}]}).status_code == 503
        assert client.get("/healthz").status_code == 503
