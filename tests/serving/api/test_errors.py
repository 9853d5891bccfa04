import pytest
from fastapi.testclient import TestClient

from serving.api.errors import Busy, Unavailable
from tests.serving.builders import KNOWN, PURCHASE, InProcess, fields, post


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


@pytest.mark.parametrize(("failure", "status"), [(Busy(), 429), (Unavailable(), 503)])
def test_what_the_models_cannot_take_is_said(
    client: TestClient, backend: InProcess, failure: Exception, status: int
) -> None:
    backend.failure = failure
    response = post(client, KNOWN)
    assert (response.status_code, response.headers["Retry-After"]) == (status, "1")
