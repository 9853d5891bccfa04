"""Answers of a running service: equal to offline ones, under load, and when a replica dies."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from serving.client import Client, Retries, ServiceError
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.integration.serving.service import MAX_IN_FLIGHT, Service

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_values_are_those_computed_offline_in_any_batch(
    service: Service,
    client: Client,
    customer_ids: list[str],
    tiny_artifact: Path,
    tiny_shop: TinyShop,
) -> None:
    predictor, store = Predictor(tiny_artifact), EventStore(tiny_shop.data)
    groups = [customer_ids[start : start + 1 + start % 7] for start in range(0, 60, 3)]
    wanted = sorted({customer for group in groups for customer in group})
    queries = [
        CustomerQuery(customer, store.events_of([customer])[customer], {}, None)
        for customer in wanted
    ]
    expected = {
        str(answer["customer_id"]): json.loads(json.dumps(answer))
        for answer in predictor.value(queries)
    }
    with ThreadPoolExecutor(MAX_IN_FLIGHT) as pool:
        answers = list(
            pool.map(lambda group: client.value([{"customer_id": one} for one in group]), groups)
        )
    for group, answer in zip(groups, answers, strict=True):
        assert [customer.customer_id for customer in answer] == group
        told = [customer.model_dump(mode="json") for customer in answer]
        assert told == [expected[customer] for customer in group]


def test_recommendations_hold_items_of_the_catalogue(
    client: Client, customer_ids: list[str]
) -> None:
    customers = [{"customer_id": customer} for customer in customer_ids[:3]]
    answer = client.recommendations(customers, k=5, category="coffee")
    assert [customer.customer_id for customer in answer] == customer_ids[:3]
    assert all(len(customer.recommendations) == 5 for customer in answer)
    assert {item.item_id for one in answer for item in one.recommendations} <= {
        f"i{number}" for number in range(0, 40, 4)
    }


def test_histories_that_no_small_message_holds_are_answered(client: Client) -> None:
    event = {
        "occurred_at": "2024-06-01T10:00:00Z",
        "kind": "purchase",
        "amount": 5.0,
        "text": "x" * 2000,
    }
    days = [
        f"2024-{1 + number % 12:02d}-{1 + number // 12 % 28:02d}T10:00:00Z"
        for number in range(3000)
    ]
    events = [event | {"occurred_at": day} for day in days]
    [answer] = client.value([{"customer_id": "long", "events": events}])
    assert answer.expected_orders > 0


@pytest.mark.thorough
def test_full_queue_is_refused_with_the_time_to_come_back(
    service: Service, customer_ids: list[str]
) -> None:
    client = Client(service.key, service.url, retries=Retries(attempts=1))

    def ask(customer: str) -> ServiceError | None:
        try:
            client.value([{"customer_id": customer}])
        except ServiceError as error:
            return error
        return None

    with ThreadPoolExecutor(40) as pool:
        errors = list(pool.map(ask, customer_ids[:40] * 3))
    refused = [error for error in errors if error is not None]
    assert {error.status for error in refused} == {429}
    assert {error.retry_after_seconds for error in refused} == {1.0}
    assert len(refused) < len(errors)
    assert ask(customer_ids[0]) is None
    client.close()


@pytest.mark.thorough
def test_nobody_sees_that_a_replica_was_killed(
    service: Service, client: Client, customer_ids: list[str]
) -> None:
    for name in ("ValueModel", "Gateway", "Recommender"):
        replicas_of(service, name)[0].kill()
        for customer in customer_ids[:20]:
            assert client.value([{"customer_id": customer}])
            assert client.recommendations([{"customer_id": customer}])
        wait_for_two(service, name)


@pytest.mark.thorough
def test_gateway_that_starts_again_is_ready_whoever_else_is_not(service: Service) -> None:
    """It says nothing of loading models, although all of them were killed with it."""
    for name in ("ValueModel", "Recommender", "Gateway"):
        for replica in replicas_of(service, name):
            replica.kill()
    refusals = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{service.url}/healthz", trust_env=False)
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            break
        refusals.append(answer.text)
        time.sleep(0.1)
    assert answer.status_code == 200 and not [text for text in refusals if "loading" in text]
    for name in ("ValueModel", "Recommender", "Gateway"):
        wait_for_two(service, name)


def replicas_of(service: Service, name: str) -> list[psutil.Process]:
    found = []
    for child in service.process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if name in child.name() + "".join(child.cmdline()):
                found.append(child)
    return found


def wait_for_two(service: Service, name: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if len(replicas_of(service, name)) == 2:
            return
        time.sleep(0.5)
    raise AssertionError(f"{name} did not come back")
