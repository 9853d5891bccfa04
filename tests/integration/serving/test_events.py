"""Events over HTTP at a running service."""

from datetime import UTC, datetime

import pytest

from benchmarks.harness.ports import free_ports
from lifecycle.log.opening import open_log
from lifecycle.log.reader import customers_since
from serving.api.responses import EventsResponse
from serving.client import Client, ServiceError
from serving.keys import create_key, revoke_key
from tests.builders import TinyShop
from tests.integration.serving.service import Service, run_serve

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_next_answer_reflects_events_and_an_id_counts_once(
    service: Service, client: Client
) -> None:
    """By a customer of its own, so that the answers of other tests stay."""
    key, secret = create_key(service.keys, "write", datetime.now(UTC))
    event = {
        "event_id": "http-1",
        "customer_id": "newcomer",
        "occurred_at": "2025-01-02T10:00:00Z",
        "kind": "purchase",
        "amount": 30.0,
    }
    with pytest.raises(ServiceError, match="404"):
        client.value([{"customer_id": "newcomer"}])
    with Client(secret, service.url) as writer:
        assert writer.send([event]) == EventsResponse(accepted=1, duplicates=0, refused=0)
        [answer] = client.value([{"customer_id": "newcomer"}])
        assert answer.as_of.startswith("2025-01-02T10:00:00.000001")
        told = writer.send([event, event | {"event_id": "http-2", "kind": "view"}])
        assert told == EventsResponse(accepted=1, duplicates=1, refused=0)
        with pytest.raises(ServiceError, match="http-1") as error:
            writer.send([event | {"amount": 31.0}])
        assert error.value.status == 409
    revoke_key(service.keys, key.id)
    key_file = service.keys.parent / "erasure.json"
    log = open_log(f"sqlite:///{service.keys.parent / 'log.db'}", key_file)
    since = customers_since(log, 0, ["newcomer"])
    assert since.events["event_id"].to_list() == ["http-1", "http-2"]
    log.engine.dispose()


def test_second_service_on_the_log_is_refused_before_anything_starts(
    service: Service, tiny_shop: TinyShop, tiny_artifact: object
) -> None:
    [port] = free_ports(1)
    ended = run_serve(
        "serving.app:build",
        f"artifact={tiny_artifact}",
        f"events={tiny_shop.data}",
        f"keys={service.keys}",
        f"erasure_key={service.keys.parent / 'erasure.json'}",
        f"log=sqlite:///{service.keys.parent / 'log.db'}",
        f"port={port}",
    )
    assert ended.returncode != 0
    assert "belongs to another service: end that service first" in ended.stderr
    assert "Started a local Ray instance" not in ended.stdout + ended.stderr
