import pytest
from fastapi.testclient import TestClient

from tests.serving.builders import KNOWN


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
    headers = {"Authorization": f"Bearer {keys['write']}"}
    assert anonymous.get("/v1/model", headers=headers).status_code == 403
    assert anonymous.post("/v1/value", json=KNOWN, headers=headers).status_code == 403
    assert (
        anonymous.get("/v1/model", headers={"Authorization": f"Bearer {keys['admin']}"}).status_code
        == 200
    )
