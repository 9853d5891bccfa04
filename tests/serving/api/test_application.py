import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.api.application import create_api
from serving.keys import KeyRing
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.serving.builders import PURCHASE, SETTINGS, InProcess, post


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


def test_first_request_beside_models_that_answer_finds_it_ready(
    tiny_shop: TinyShop, backend: InProcess, keys: dict[str, str], tmp_path: Path
) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    api = create_api(SETTINGS, ring, EventStore(tiny_shop.data), backend)
    with TestClient(api) as client:
        assert client.get("/healthz").status_code == 200
