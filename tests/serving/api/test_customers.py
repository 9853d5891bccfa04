"""Erasure over HTTP: at once for every gateway, with a receipt, until an admin lets the customer back in."""

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lifecycle.erasure.keys import read_keys
from lifecycle.log.database import Log
from lifecycle.log.reader import last_sequence
from tests.builders import TinyShop
from tests.serving.builders import KNOWN, PURCHASE, post

NEW = PURCHASE | {"event_id": "n1", "customer_id": "c1", "text": "a secret"}


def send(client: TestClient, *events: dict[str, object]) -> object:
    return post(client, {"events": list(events)}, "/v1/events").json()


def test_erased_customer_is_unknown_to_all_and_comes_back_only_when_lifted(
    gateways: list[TestClient], log: Log, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    one, other = gateways
    send(one, NEW, NEW | {"event_id": "n2"})
    before = post(other, KNOWN).json()["customers"][0]
    response = one.delete("/v1/customers/c1")
    receipt = response.json()
    key = read_keys(tmp_path / "erasure.json").newest
    assert (receipt["customer"], receipt["key"]) == (key.hash_of("c1"), key.id)
    assert (response.status_code, receipt["deleted"]) == (200, {"log": 2})
    assert '"c1"' not in response.text and response.headers["Cache-Control"] == "no-store"
    data, others = receipt["pending"]
    assert str(tiny_shop.data) in data and "python -m training.erase" in others
    assert receipt["trained"][0].startswith("artifact ")
    assert receipt["exports"] == [str(tiny_shop.lines)]
    for client in gateways:
        for path in ("/v1/value", "/v1/recommendations"):
            assert post(client, KNOWN, path).status_code == 404
    files = [*tmp_path.glob("log.db*")]
    assert files and all(b"a secret" not in file.read_bytes() for file in files)
    refused = send(other, NEW, NEW | {"event_id": "n3", "customer_id": "c2"})
    assert refused == {"accepted": 1, "duplicates": 0, "refused": 1}
    assert one.delete("/v1/customers/c1").json() == receipt  # a lost answer is asked for again
    lifted = other.post("/v1/customers/c1/lift").json()
    assert lifted["customer"] == receipt["customer"] and lifted["lifted_at"] is not None
    assert send(one, NEW) == {"accepted": 1, "duplicates": 0, "refused": 0}
    after = post(other, KNOWN).json()["customers"][0]
    assert after["customer_id"] == "c1" and after["as_of"] == before["as_of"]


def test_customer_that_only_the_log_knows_is_erased(gateways: list[TestClient]) -> None:
    one, other = gateways
    send(one, NEW | {"customer_id": "a/b é"})
    receipt = other.delete("/v1/customers/a%2Fb%20%C3%A9").json()
    assert (receipt["deleted"], receipt["trained"], receipt["exports"]) == ({"log": 1}, [], [])
    assert len(receipt["pending"]) == 1


def test_who_cannot_be_erased_is_told(gateways: list[TestClient], log: Log) -> None:
    client = gateways[0]
    assert client.delete("/v1/customers/nobody").status_code == 404
    assert client.post("/v1/customers/c1/lift").status_code == 404
    for place in ("%20c1", "c1%20", "a%00b", "x" * 257):
        response = client.delete(f"/v1/customers/{place}")
        assert response.status_code == 422, response.text
        assert response.json()["detail"][0]["field"] == "customer_id"
    assert last_sequence(log) == 0


def test_key_that_is_missing_or_readable_by_others_is_named(
    gateways: list[TestClient], tmp_path: Path
) -> None:
    (tmp_path / "erasure.json").chmod(0o644)
    response = gateways[0].delete("/v1/customers/c1")
    assert response.status_code == 501 and "chmod 600" in response.json()["detail"]
    (tmp_path / "erasure.json").unlink()
    response = gateways[0].delete("/v1/customers/c1")
    assert response.status_code == 501 and "training.erase.key create" in response.json()["detail"]


def test_only_admins_erase_and_only_with_a_log(client: TestClient, keys: dict[str, str]) -> None:
    for scope, status in (("score", 403), ("write", 403), ("admin", 501)):
        client.headers["Authorization"] = f"Bearer {keys[scope]}"
        response = client.delete("/v1/customers/c1")
        assert response.status_code == status, scope
    assert "log=sqlite:///PATH" in response.json()["detail"]


def test_no_id_of_a_customer_is_logged(
    gateways: list[TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(gateways[0], NEW | {"customer_id": "known-as-bob"})
    gateways[0].delete("/v1/customers/known-as-bob")
    post(gateways[1], {"customers": [{"customer_id": "known-as-bob"}]})
    ours = ("serving", "lifecycle", "sqlalchemy")
    told = [one.getMessage() for one in caplog.records if one.name.startswith(ours)]
    assert not [line for line in told if "bob" in line]
