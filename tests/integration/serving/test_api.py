"""Keys, errors and the log of a running service."""

from datetime import UTC, datetime

import httpx
import pytest

from serving.api.responses import REQUEST_ID
from serving.client import Client, ServiceError
from serving.keys import create_key, read_keys, revoke_key
from tests.integration.serving.service import Service

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_key_opens_what_its_scope_covers_until_it_is_revoked(service: Service) -> None:
    key, secret = create_key(service.keys, "write", datetime.now(UTC))
    for word, status in (("wrong", 401), (secret, 403)):
        with Client(word, service.url) as client, pytest.raises(ServiceError) as error:
            client.model()
        assert error.value.status == status
    admin, secret = create_key(service.keys, "admin", datetime.now(UTC))
    with Client(secret, service.url) as client:
        assert client.model()["champion"]
        revoke_key(service.keys, admin.id)
        with pytest.raises(ServiceError, match="401"):
            client.model()
    revoke_key(service.keys, key.id)
    assert len(read_keys(service.keys)) == 1


def test_callers_mistakes_get_the_errors_of_the_contract(
    service: Service, client: Client, customer_ids: list[str]
) -> None:
    known = {"customer_id": customer_ids[0]}
    unborn = {"events": [{"occurred_at": "2024-11-01", "kind": "view"}], "as_of": "2024-10-01"}
    for customers, status, words in (
        ([known, {"customer_id": "nobody"}], 404, "nobody"),
        ([known, unborn], 422, "customers.1"),
        ([known, {}], 422, "customers.1"),
        ([{"customer_id": "c" * 9_000_000}], 413, "8000000"),
    ):
        with pytest.raises(ServiceError, match=words) as error:
            client.value(customers)
        assert error.value.status == status
    with Client(service.key, service.url, max_customers=257) as generous:
        with pytest.raises(ServiceError, match="422.*at most 256"):
            generous.value([known] * 257)
    with pytest.raises(ServiceError, match="candidates.1") as error:
        client.recommendations([known], candidates=["i1", "gone"])
    assert error.value.status == 422


def test_answers_have_the_header_that_tells_them_from_those_of_the_proxy(
    service: Service, client: Client
) -> None:
    for path, status in (("/healthz", 200), ("/v1/model", 401), ("/nowhere", 404)):
        answer = httpx.get(service.url + path, trust_env=False)
        assert answer.status_code == status
        assert len(answer.headers.get_list(REQUEST_ID)) == 1


def test_nothing_of_a_request_reaches_the_log(service: Service, client: Client) -> None:
    secret = "alice-and-her-address"
    event = {"occurred_at": "2024-11-01", "kind": "review", "text": secret}
    assert client.value([{"customer_id": secret, "events": [event]}])
    with pytest.raises(ServiceError, match="422"):
        client.value([{"customer_id": secret, "events": [event], "as_of": "2024-10-01"}])
    assert secret not in service.log.read_text()
