"""The OpenAPI document: request bodies are parsed by us, from bytes, so their schemas are added here."""

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, JsonValue
from pydantic.json_schema import models_json_schema

from serving.api.requests import EventsRequest, ItemOptions, RecommendationRequest, ValueRequest
from serving.api.responses import ErrorResponse

COMPONENTS = "#/components/schemas/{model}"
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
Responses = dict[int | str, dict[str, type[BaseModel] | str]]  # by status: model, description


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


def responses_of(model: type[BaseModel], *errors: int) -> Responses:
    """The responses of an operation: its answer and the errors it may give."""
    answer: Responses = {200: {"model": model}}
    return answer | errors_of(*errors)


def errors_of(*statuses: int) -> Responses:
    """The error responses of an operation."""
    return {status: {"model": ErrorResponse, "description": REASONS[status]} for status in statuses}


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
    api.openapi_schema = schema
