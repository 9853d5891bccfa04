"""The HTTP API: keys, limits, sizes and errors. What computes the answers is a Backend; Ray is not known here."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Protocol

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline

from serving.answers import RecommendationResponse, ValueResponse
from serving.home import home_page
from serving.keys import KeyRing
from serving.openapi import body_of, document, errors_of, responses_of
from serving.queries import JSON, CustomerQuery, RecommendOptions
from serving.schemas import (
    Customer,
    InvalidRequest,
    Limits,
    R,
    RecommendationRequest,
    ValueRequest,
    event_frame,
    parse,
)
from serving.store import EventStore, UnknownCustomers

Answer = dict[str, JSON]
RETRY_AFTER_SECONDS = 1
STARTING_RETRY_SECONDS = 0.5
logger = logging.getLogger(__name__)


class Busy(Exception):
    """The models have no room for another request."""


class Unavailable(Exception):
    """No model can answer at the moment."""


class Backend(Protocol):
    """Computes answers, one per customer in their order.

    Raises InvalidRequest for customers it cannot answer for, Busy, and Unavailable.
    """

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]: ...

    async def recommend(self, customers: list[CustomerQuery], options: RecommendOptions) -> list[Answer]: ...

    async def describe(self) -> Answer: ...


@dataclass(frozen=True)
class ApiSettings:
    """Limits of one API process."""

    limits: Limits
    max_body_bytes: int
    max_in_flight: int  # admitted requests; above it the answer is 429
    timeout_seconds: float


@dataclass
class State:
    """What changes while the API runs."""

    max_in_flight: int
    in_flight: int = 0
    description: Answer | None = None  # of the model, once every model has loaded

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold one of the places; 503 before the models have loaded, 429 where no place is free."""
        if self.description is None:
            raise _retry_later(503, "the models are loading")
        if self.in_flight >= self.max_in_flight:
            raise _retry_later(429, f"{self.in_flight} requests are being answered already")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


def create_api(settings: ApiSettings, keys: KeyRing, store: EventStore, backend: Backend) -> FastAPI:
    """The whole API as an ASGI application."""
    state = State(settings.max_in_flight)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_wait_for_models(state, backend))
        yield
        loading.cancel()

    api = FastAPIOffline(  # /docs works without a network
        title="Evervalue", version="1", summary="Customer value and recommendations", lifespan=lifespan, redoc_url=None
    )
    add_pages(api, state)
    add_scoring(api, settings, keys, store, backend, state)
    add_errors(api)
    document(api)
    return api


def add_pages(api: FastAPI, state: State) -> None:
    """`/` and `/healthz`: they hold no data and need no key."""

    @api.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def home() -> str:
        status = "ready" if state.description is not None else "starting: the models are loading"
        return home_page(status)

    @api.get("/healthz", responses=errors_of(503), summary="Whether requests can be answered")
    async def health() -> dict[str, str]:
        if state.description is None:
            raise _retry_later(503, "the models are loading")
        return {"status": "ok"}


def add_scoring(
    api: FastAPI, settings: ApiSettings, keys: KeyRing, store: EventStore, backend: Backend, state: State
) -> None:
    """The endpoints of scope `score`."""
    guard = [Depends(require_scope(keys, "score"))]
    failures = (401, 403, 404, 413, 422, 429, 503)

    async def scored(request: Request, model: type[R], compute: Callable[..., Awaitable[list[Answer]]]) -> Response:
        """Admit, read, check and look up; then `compute` gets the customers and the parsed request."""
        async with _time_limit(settings.timeout_seconds):
            with state.admitted():
                parsed = parse(model, await _read_body(request, settings.max_body_bytes), settings.limits)
                queries = await asyncio.to_thread(queries_of, store, parsed.customers)
                return _response(queries, await compute(queries, parsed))

    @api.post("/v1/value", dependencies=guard, responses=responses_of(ValueResponse, *failures),
              openapi_extra=body_of(ValueRequest), summary="Lifetime value of customers")  # fmt: skip
    async def value(request: Request) -> Response:
        return await scored(
            request,
            ValueRequest,
            lambda customers, parsed: backend.value([replace(one, explain=parsed.explain) for one in customers]),
        )

    @api.post("/v1/recommendations", dependencies=guard, responses=responses_of(RecommendationResponse, *failures),
              openapi_extra=body_of(RecommendationRequest), summary="Items for customers")  # fmt: skip
    async def recommendations(request: Request) -> Response:
        return await scored(
            request,
            RecommendationRequest,
            lambda customers, parsed: backend.recommend(customers, options_of(parsed)),
        )

    @api.get("/v1/model", dependencies=guard, responses=errors_of(401, 403, 503), summary="What answers, and how well")
    async def model() -> Response:
        if state.description is None:
            raise _retry_later(503, "the models are loading")
        return JSONResponse(state.description)


def add_errors(api: FastAPI) -> None:
    """Every error a caller can cause as JSON with `detail`; nothing of the request is repeated but ids and fields."""

    @api.exception_handler(InvalidRequest)
    async def invalid(_: Request, error: InvalidRequest) -> Response:
        detail = [{"field": name, "message": message} for name, message in error.problems]
        return JSONResponse({"detail": detail}, 422)

    @api.exception_handler(UnknownCustomers)
    async def unknown(_: Request, error: UnknownCustomers) -> Response:
        names = ", ".join(repr(customer) for customer in error.customer_ids[:10])
        return JSONResponse({"detail": f"the event store does not know customer {names}"}, 404)

    @api.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return _retry_response(429, "the queue of the models is full")

    @api.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> Response:
        return _retry_response(503, "no model can answer at the moment")


def require_scope(keys: KeyRing, scope: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only keys of a scope pass: 401 without a valid key, 403 with one of another scope."""
    bearer = HTTPBearer(auto_error=False, description="a key made by `python -m serving.keys create`")

    async def check(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        key = keys.find(credentials.credentials) if credentials is not None else None
        if key is None:
            header = {"WWW-Authenticate": "Bearer"}
            raise HTTPException(401, "a valid key is needed: Authorization: Bearer KEY", header)
        if not key.allows(scope):
            raise HTTPException(403, f"this key has scope {key.scope!r}; {scope!r} is needed")

    return check


def queries_of(store: EventStore, customers: list[Customer]) -> list[CustomerQuery]:
    """The customers of a request with their events, from the request or else from the store, in their order."""
    known = [customer.customer_id for customer in customers if customer.events is None]
    stored = store.events_of([customer_id for customer_id in known if customer_id is not None])
    described = store.attributes_of([customer.customer_id or "" for customer in customers])
    return [
        CustomerQuery(
            customer_id=customer.customer_id,
            events=stored[customer.customer_id or ""] if customer.events is None else event_frame(customer),
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


async def _wait_for_models(state: State, backend: Backend) -> None:
    while state.description is None:
        with suppress(Busy, Unavailable):
            state.description = await backend.describe()
            logger.info("ready")
            return
        await asyncio.sleep(STARTING_RETRY_SECONDS)


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
    content = json.dumps({"customers": answers}, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Response(content.encode(), media_type="application/json", headers={"Cache-Control": "no-store"})


@asynccontextmanager
async def _time_limit(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise _retry_later(503, f"no answer within {seconds:g} s") from None


def _retry_later(status: int, message: str) -> HTTPException:
    return HTTPException(status, message, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _retry_response(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status, {"Retry-After": str(RETRY_AFTER_SECONDS)})
