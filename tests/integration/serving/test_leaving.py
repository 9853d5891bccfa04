"""Callers who leave before they have an answer, at a running service."""

import json
import socket
import time

import pytest

from serving.client import Client, Retries
from tests.integration.serving.service import MAX_IN_FLIGHT, Service

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.thorough]
NUM_REPLICAS = 2
EVENTS = [
    {"occurred_at": f"2024-{1 + day % 12:02d}-{1 + day % 28:02d}", "kind": "purchase", "amount": 5}
    for day in range(200)
]
# Predicted once for each event of eight customers, in a batch of its own.
LONG = {"customers": [{"events": EVENTS}] * 8, "explain": "events"}


def seconds_of(client: Client, body: dict[str, object]) -> float:
    started_at = time.monotonic()
    options = {name: value for name, value in body.items() if name != "customers"}
    client.value(body["customers"], **options)  # type: ignore[arg-type]
    return time.monotonic() - started_at


def asked(service: Service) -> socket.socket:
    """A connection on which the long question has been asked."""
    body = json.dumps(LONG).encode()
    head = (
        f"POST /v1/value HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {service.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", service.port))
    connection.sendall(head.encode() + body)
    return connection


def test_who_leaves_takes_place_and_work_along(service: Service) -> None:
    """All places are taken, and more than a dozen long answers are waited for; then nobody waits."""
    with Client(service.key, service.url, retries=Retries(attempts=1)) as client:
        alone = seconds_of(client, LONG)
        connections = [asked(service) for _ in range(NUM_REPLICAS * MAX_IN_FLIGHT)]
        time.sleep(alone / 2)
        for connection in connections:
            connection.close()
        time.sleep(
            0.5
        )  # what is under way is finished, two at a time; the rest would take six times as long
        short = seconds_of(client, {"customers": [{"events": EVENTS[:1]}]})
    assert short < 3 * alone
