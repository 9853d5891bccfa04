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


def test_documentation_tells_headers(anonymous: TestClient) -> None:
    responses = anonymous.get("/openapi.json").json()["paths"]["/v1/value"]["post"]["responses"]
    headers = {status: set(told["headers"]) for status, told in responses.items()}
    assert headers["200"] == {"X-Request-ID", "State-Age"}
    assert headers["429"] == headers["503"] == {"X-Request-ID", "Retry-After"}
    assert headers["401"] == {"X-Request-ID", "WWW-Authenticate"}


def test_documentation_tells_active_from_churn_and_lists_the_kinds(anonymous: TestClient) -> None:
    schemas = anonymous.get("/openapi.json").json()["components"]["schemas"]
    value = schemas["CustomerValue"]["properties"]
    assert "left for good" in value["p_active"]["description"]
    assert "buying nothing within the trained horizon" in value["churn_probability"]["description"]
    event = schemas["Event"]["properties"]
    assert {"trial", "pause", "resume", "cancellation"} <= set(event["kind"]["enum"])
    assert "plan" in event["plan_days"]["description"]
