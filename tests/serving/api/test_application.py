import asyncio
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from serving.api.application import create_api
from serving.api.backend import Answer, ApiSettings
from serving.api.errors import Busy, Unavailable
from serving.api.requests import InvalidRequest, Limits
from serving.api.responses import RecommendationResponse, ValueResponse
from serving.deployments import answer_requests, option_problems
from serving.keys import KeyRing, create_key
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.store.events import EventStore
from tests.builders import TinyShop

SETTINGS = ApiSettings(
    Limits(max_customers=20, max_events=50), 100_000, max_in_flight=2, timeout_seconds=5.0
)
KNOWN = {"customers": [{"customer_id": "c1"}]}
PURCHASE = {
    "occurred_at": "2024-11-01",
    "kind": "purchase",
    "amount": 12.5,
    "item_id": "i1",
    "quantity": 1,
}


class InProcess:
    """A Backend that computes in this process, or does not compute at all."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.failure: Exception | None = None
        self.seconds = 0.0

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]:
        await self._wait()
        [outcome] = answer_requests(self.predictor.value, [customers])
        if outcome.problems:
            raise InvalidRequest(outcome.problems)
        return outcome.answers

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]:
        await self._wait()
        problems = option_problems(self.predictor, options)
        if problems:
            raise InvalidRequest(problems)
        return list(self.predictor.recommend(customers, options))

    async def describe(self) -> Answer:
        await self._wait()
        return self.predictor.describe()

    async def _wait(self) -> None:
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(self.seconds)


@pytest.fixture(scope="module")
def predictor(tiny_artifact: Path) -> Predictor:
    return Predictor(tiny_artifact)


@pytest.fixture
def backend(predictor: Predictor) -> InProcess:
    return InProcess(predictor)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "keys.json"
    return {
        scope: create_key(path, scope, datetime.now(UTC))[1]
        for scope in ("score", "events", "admin")
    }


@pytest.fixture
def anonymous(
    tiny_shop: TinyShop, backend: InProcess, keys: dict[str, str], tmp_path: Path
) -> Iterator[TestClient]:
    ring = KeyRing(tmp_path / "keys.json")
    with TestClient(create_api(SETTINGS, ring, EventStore(tiny_shop.data), backend)) as client:
        wait_until_ready(client)
        yield client


@pytest.fixture
def client(anonymous: TestClient, keys: dict[str, str]) -> TestClient:
    anonymous.headers["Authorization"] = f"Bearer {keys['score']}"
    return anonymous


def wait_until_ready(client: TestClient) -> None:
    for _ in range(100):
        if client.get("/healthz").status_code == 200:
            return
        client.portal.call(asyncio.sleep, 0.02)  # type: ignore[union-attr]
    raise AssertionError("not ready")


def fields(response: Response) -> list[str]:
    assert response.status_code == 422, response.text
    return [problem["field"] for problem in response.json()["detail"]]


def post(client: TestClient, body: object, path: str = "/v1/value") -> Response:
    response: Response = client.post(path, json=body)
    return response


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


def test_as_of_in_the_past_leaves_out_what_came_after(client: TestClient) -> None:
    late = PURCHASE | {"occurred_at": "2024-12-01", "amount": 5000.0}
    early = {"events": [PURCHASE], "as_of": "2024-11-15"}
    both = {"events": [PURCHASE, late], "as_of": "2024-11-15"}
    first, second = post(client, {"customers": [early, both]}).json()["customers"]
    assert first == second


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer x", "Basic x", "Bearer é", "x"]
)
def test_no_answer_without_a_valid_key(anonymous: TestClient, header: str) -> None:
    for method, path in (
        ("POST", "/v1/value"),
        ("POST", "/v1/recommendations"),
        ("GET", "/v1/model"),
    ):
        response = anonymous.request(
            method, path, headers={"Authorization": header.encode("latin-1")}
        )
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_key_of_another_scope_is_forbidden(anonymous: TestClient, keys: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {keys['events']}"}
    assert anonymous.get("/v1/model", headers=headers).status_code == 403
    assert anonymous.post("/v1/value", json=KNOWN, headers=headers).status_code == 403
    assert (
        anonymous.get("/v1/model", headers={"Authorization": f"Bearer {keys['admin']}"}).status_code
        == 200
    )


def test_pages_without_data_need_no_key(anonymous: TestClient) -> None:
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert 'href="docs"' in anonymous.get("/").text
    page = anonymous.get("/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 3 and not [
        asset for asset in assets if "//" in asset
    ]  # nothing from elsewhere
    assert all(anonymous.get(asset).status_code == 200 for asset in assets)
    assert "/openapi.json" in page


def test_documentation_shows_requests_answers_and_errors(anonymous: TestClient) -> None:
    document = anonymous.get("/openapi.json").json()
    operation = document["paths"]["/v1/value"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/ValueRequest"
    )
    assert set(operation["responses"]) == {"200", "401", "403", "404", "413", "422", "429", "503"}
    names = set(document["components"]["schemas"])
    assert {"ValueRequest", "Customer", "Event", "ValueResponse", "RecommendationRequest"} <= names


def test_unknown_customer_is_named(client: TestClient) -> None:
    response = post(client, {"customers": [{"customer_id": "c1"}, {"customer_id": "nobody"}]})
    assert response.status_code == 404
    assert "'nobody'" in response.json()["detail"]


def test_customer_without_known_events_is_named_by_position(client: TestClient) -> None:
    looked = {"events": [PURCHASE | {"kind": "view"}], "as_of": "2001-01-01"}
    early = {"customer_id": "c1", "as_of": "2001-01-01"}
    response = post(
        client, {"customers": [{"customer_id": "c1"}, looked, {"customer_id": "c7"}, early]}
    )
    assert fields(response) == ["customers.1", "customers.3"]
    assert "no event" in response.json()["detail"][0]["message"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"candidates": ["i1", "gone"]}, "candidates.1"),
        ({"exclude": ["gone"]}, "exclude.0"),
        ({"in_stock": True}, "in_stock"),
        ({"objective": "margin"}, "objective"),
        ({"k": 101}, "k"),
    ],
)
def test_option_that_cannot_be_served_is_named(
    client: TestClient, options: dict[str, object], field: str
) -> None:
    assert fields(post(client, KNOWN | options, "/v1/recommendations")) == [field]


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
            "occurred_at": "2199-12-31T23:59:59.999999Z",
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


def test_over_the_limit_of_requests_the_answer_is_429(
    client: TestClient, backend: InProcess
) -> None:
    backend.seconds = 0.5

    async def ask_together() -> list[Response]:
        return await asyncio.gather(*(asyncio.to_thread(post, client, KNOWN) for _ in range(6)))

    responses = asyncio.run(ask_together())
    assert sorted(response.status_code for response in responses) == [200, 200, 429, 429, 429, 429]
    assert {response.headers.get("Retry-After") for response in responses} == {None, "1"}
    backend.seconds = 0.0
    assert post(client, KNOWN).status_code == 200


@pytest.mark.parametrize(("failure", "status"), [(Busy(), 429), (Unavailable(), 503)])
def test_what_the_models_cannot_take_is_said(
    client: TestClient, backend: InProcess, failure: Exception, status: int
) -> None:
    backend.failure = failure
    response = post(client, KNOWN)
    assert (response.status_code, response.headers["Retry-After"]) == (status, "1")


def test_while_models_load_the_answer_is_503(
    tiny_shop: TinyShop, predictor: Predictor, keys: dict[str, str], tmp_path: Path
) -> None:
    backend = InProcess(predictor)
    backend.failure = Unavailable()
    api = create_api(SETTINGS, KeyRing(tmp_path / "keys.json"), EventStore(tiny_shop.data), backend)
    with TestClient(api, headers={"Authorization": f"Bearer {keys['score']}"}) as client:
        for response in (client.get("/healthz"), client.get("/v1/model"), post(client, KNOWN)):
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert "starting" in client.get("/").text
        backend.failure = None
        wait_until_ready(client)
        assert post(client, KNOWN).status_code == 200


def test_answer_that_takes_too_long_is_given_up(
    tiny_shop: TinyShop, predictor: Predictor, keys: dict[str, str], tmp_path: Path
) -> None:
    backend = InProcess(predictor)
    settings = ApiSettings(SETTINGS.limits, 1000, max_in_flight=1, timeout_seconds=0.2)
    api = create_api(settings, KeyRing(tmp_path / "keys.json"), EventStore(tiny_shop.data), backend)
    with TestClient(api, headers={"Authorization": f"Bearer {keys['score']}"}) as client:
        wait_until_ready(client)
        backend.seconds = 30.0
        assert [post(client, KNOWN).status_code for _ in range(2)] == [503, 503]


def test_nothing_of_a_request_reaches_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "alice-and-her-address"
    review = PURCHASE | {"kind": "review", "text": secret}
    for body in (
        {"customers": [{"customer_id": secret}]},
        {"customers": [{"customer_id": secret, "events": [PURCHASE, review]}]},
        {"customers": [{"customer_id": secret, "events": [review]}]},
        {"customers": [{"customer_id": "c1", "colour": secret}]},
    ):
        post(client, body)
        post(client, body, "/v1/recommendations")
    assert secret not in caplog.text
