"""The OpenAPI document: request bodies are parsed by us, from bytes, so their schemas are added here."""

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from serving.api.requests import EventsRequest, ItemOptions, RecommendationRequest, ValueRequest
from serving.api.responses import REQUEST_ID, ErrorResponse

COMPONENTS = "#/components/schemas/{model}"
RETRY_AFTER_SCHEMA: JsonValue = {
    "description": "seconds until it is worth asking again",
    "schema": {"type": "integer"},
}
REASONS = {
    401: "no valid key",
    403: "the key has another scope",
    404: "unknown item; unknown or erased customer",
    409: "an event_id is taken by another event; nothing was written",
    413: "body too large",
    422: "bad input; every problem names its field",
    429: "too many requests; see Retry-After",
    501: "the service was started without what this needs",
    503: "starting or busy",
    507: "the event log has no room; nothing was written",
}
Told = dict[str, JsonValue]
# By status: model, description, headers.
Responses = dict[int | str, dict[str, type[BaseModel] | str | Told]]
REQUEST_ID_TOLD: Told = {
    REQUEST_ID: {"description": "of this request, as in the log", "schema": {"type": "string"}}
}
HEADERS: dict[int, Told] = {  # that an answer of a status has
    401: {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}},
    429: {"Retry-After": RETRY_AFTER_SCHEMA},
    503: {"Retry-After": RETRY_AFTER_SCHEMA},
}


def body_of(model: type[BaseModel]) -> dict[str, JsonValue]:
    """The requestBody of an operation."""
    schema: dict[str, JsonValue] = {"$ref": COMPONENTS.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def parameters_of(model: type[BaseModel]) -> dict[str, JsonValue]:
    """The parameters of an operation that are read from its URL."""
    fields = model.model_json_schema()["properties"]
    return {
        "parameters": [
            {"name": name, "in": "query", "schema": told} for name, told in fields.items()
        ]
    }


def responses_of(model: type[BaseModel], *errors: int, headers: Told | None = None) -> Responses:
    """The responses of an operation: its answer, with headers of its own, and the errors it may give."""
    answer: Responses = {200: {"model": model, "headers": headers or {}}}
    return answer | errors_of(*errors)


def errors_of(*statuses: int) -> Responses:
    """The error responses of an operation."""
    return {
        status: {
            "model": ErrorResponse,
            "description": REASONS[status],
            "headers": HEADERS.get(status, {}),
        }
        for status in statuses
    }


def document(api: FastAPI) -> None:
    """Let /docs and /openapi.json show the request bodies; call it when all routes are there."""
    schema = get_openapi(
        title=api.title, version=api.version, summary=api.summary, routes=api.routes
    )
    _, bodies = models_json_schema(
        [
            (body, "validation")
            for body in (ValueRequest, RecommendationRequest, ItemOptions, EventsRequest)
        ],
        ref_template=COMPONENTS,
    )
    schema["components"]["schemas"] |= bodies["$defs"]
    for operations in schema["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                response["headers"] = REQUEST_ID_TOLD | response.get("headers", {})
    api.openapi_schema = schema
