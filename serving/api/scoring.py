"""The endpoints of scope `score`: values, recommendations, and what answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from serving.api.access import require_scope
from serving.api.backend import Answer, ApiSettings, Backend, State
from serving.api.errors import retry_later
from serving.api.openapi import body_of, errors_of, responses_of
from serving.api.requests import (
    Customer,
    InvalidRequest,
    R,
    RecommendationRequest,
    ValueRequest,
    event_frame,
    parse,
)
from serving.api.responses import RecommendationResponse, ValueResponse
from serving.keys import KeyRing
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.store.events import EventStore


def add_scoring(
    api: FastAPI,
    settings: ApiSettings,
    keys: KeyRing,
    store: EventStore,
    backend: Backend,
    state: State,
) -> None:
    """The endpoints of scope `score`."""
    guard = [Depends(require_scope(keys, "score"))]
    failures = (401, 403, 404, 413, 422, 429, 503)

    async def scored(
        request: Request, model: type[R], compute: Callable[..., Awaitable[list[Answer]]]
    ) -> Response:
        """Admit, read, check and look up; then `compute` gets the customers and the parsed request."""
        async with _time_limit(settings.timeout_seconds):
            with state.admitted():
                parsed = parse(
                    model, await _read_body(request, settings.max_body_bytes), settings.limits
                )
                queries = await asyncio.to_thread(queries_of, store, parsed.customers)
                return _response(queries, await compute(queries, parsed))

    @api.post("/v1/value", dependencies=guard, responses=responses_of(ValueResponse, *failures),
              openapi_extra=body_of(ValueRequest), summary="Lifetime value of customers")  # fmt: skip
    async def value(request: Request) -> Response:
        return await scored(
            request,
            ValueRequest,
            lambda customers, parsed: backend.value(
                [replace(one, explain=parsed.explain) for one in customers]
            ),
        )

    @api.post("/v1/recommendations", dependencies=guard, responses=responses_of(RecommendationResponse, *failures),
              openapi_extra=body_of(RecommendationRequest), summary="Items for customers")  # fmt: skip
    async def recommendations(request: Request) -> Response:
        return await scored(
            request,
            RecommendationRequest,
            lambda customers, parsed: backend.recommend(customers, options_of(parsed)),
        )

    @api.get(
        "/v1/model",
        dependencies=guard,
        responses=errors_of(401, 403, 503),
        summary="What answers, and how well",
    )
    async def model() -> Response:
        if state.description is None:
            raise retry_later(503, "the models are loading")
        return JSONResponse(state.description)


def queries_of(store: EventStore, customers: list[Customer]) -> list[CustomerQuery]:
    """The customers of a request with their events, from the request or else from the store, in their order."""
    known = [customer.customer_id for customer in customers if customer.events is None]
    stored = store.events_of([customer_id for customer_id in known if customer_id is not None])
    described = store.attributes_of([customer.customer_id or "" for customer in customers])
    return [
        CustomerQuery(
            customer_id=customer.customer_id,
            events=stored[customer.customer_id or ""]
            if customer.events is None
            else event_frame(customer),
            attributes=described.get(customer.customer_id or "", {}) | customer.attributes,
            as_of=customer.as_of,
            data_end=store.data_end,
        )
        for customer in customers
    ]


def options_of(request: RecommendationRequest) -> RecommendOptions:
    """The part of a request that holds for all its customers."""
    return RecommendOptions(
        k=request.k,
        candidates=None if request.candidates is None else tuple(request.candidates),
        exclude=tuple(request.exclude),
        category=request.category,
        query=request.query,
        min_price=request.min_price,
        max_price=request.max_price,
        in_stock=request.in_stock,
        objective=request.objective,
    )


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a JSON request; 413 as soon as it is known to be too large."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise InvalidRequest([("Content-Type", "must be application/json")])
    too_large = HTTPException(413, f"the body exceeds {max_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _response(queries: list[CustomerQuery], answers: list[Answer]) -> Response:
    assert len(answers) == len(queries)
    content = json.dumps(
        {"customers": answers}, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    return Response(
        content.encode(), media_type="application/json", headers={"Cache-Control": "no-store"}
    )


@asynccontextmanager
async def _time_limit(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise retry_later(503, f"no answer within {seconds:g} s") from None
