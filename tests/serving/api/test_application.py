import logging

import pytest
from fastapi.testclient import TestClient

from tests.serving.builders import PURCHASE, post


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
