from fastapi.testclient import TestClient


def test_documentation_shows_requests_answers_and_errors(anonymous: TestClient) -> None:
    document = anonymous.get("/openapi.json").json()
    operation = document["paths"]["/v1/value"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/ValueRequest"
    )
    assert set(operation["responses"]) == {"200", "401", "403", "404", "413", "422", "429", "503"}
    names = set(document["components"]["schemas"])
    assert {"ValueRequest", "Customer", "Event", "ValueResponse", "RecommendationRequest"} <= names
