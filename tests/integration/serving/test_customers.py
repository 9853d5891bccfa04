"""A customer is erased at a running service."""

from datetime import UTC, datetime

import httpx
import pytest

from serving.keys import create_key, revoke_key
from tests.integration.serving.service import Service

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_erased_customer_is_unknown_at_once_and_stays_out(service: Service) -> None:
    """A customer of its own, so that the answers of other tests stay."""
    key, secret = create_key(service.keys, "admin", datetime.now(UTC))
    event = {
        "event_id": "forgotten-1",
        "customer_id": "for/gotten",
        "occurred_at": "2025-01-02T10:00:00Z",
        "kind": "purchase",
        "amount": 30.0,
    }
    asked = {"customers": [{"customer_id": "for/gotten"}]}
    bearer = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=service.url, headers=bearer, trust_env=False) as http:
        assert http.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
        assert http.post("/v1/value", json=asked).status_code == 200
        erased = http.delete("/v1/customers/for%2Fgotten")
        assert (erased.status_code, erased.json()["deleted"]) == (200, {"log": 1})
        assert http.post("/v1/value", json=asked).status_code == 404
        assert http.post("/v1/events", json={"events": [event]}).json()["refused"] == 1
        assert http.post("/v1/customers/for%2Fgotten/lift").status_code == 200
        assert http.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
        assert http.delete("/v1/customers/for%2Fgotten").status_code == 200
    revoke_key(service.keys, key.id)
    assert "gotten" not in service.log.read_text()
