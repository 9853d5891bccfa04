"""The endpoints of scope `score`: values, recommendations, and what answers."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from lifecycle.state.answers import Answer, encoded
from serving.api.access import require_scope
from serving.api.admission import Admission
from serving.api.backend import Backend
from serving.api.bodies import read_body
from serving.api.fields import Reading
from serving.api.histories import Customer, event_frame
from serving.api.known import STATE_AGE_TOLD, VALUE_PATH, default_ids, value_response
from serving.api.openapi import body_of, errors_of, responses_of
from serving.api.requests import ItemOptions, R, RecommendationRequest, ValueRequest, parse
from serving.api.responses import RecommendationResponse, SimilarResponse, ValueResponse
from serving.keys import KeyRing
from serving.predict.problems import InvalidRequest, at_places
from serving.predict.queries import Attributes, CustomerQuery, RecommendOptions
from serving.store.events import EventStore
from serving.store.known import KnownCustomers

FAILURES = (401, 403, 404, 413, 422, 429, 503)  # statuses of a request that is not answered


@dataclass(frozen=True)
class Scoring:
    """The endpoints of this file: each admits a request, reads and checks it, looks its customers up, and asks."""

    admission: Admission
    store: EventStore
    backend: Backend
    known: KnownCustomers | None = None  # those who have state

    async def value(self, request: Request) -> Response:
        async with self.admission.answering():
            parsed = await self._parsed(ValueRequest, request)
            answers, has_state = await self.answers(parsed)
        age = self.known.age_seconds(datetime.now(UTC)) if self.known and has_state else None
        return value_response(answers, age)

    async def answers(self, request: ValueRequest) -> tuple[list[bytes], bool]:
        """Encoded answers in the order of the customers, and whether some come from customer state."""
        known, others = await asyncio.to_thread(self._looked_up, request)
        answers = known | await self._computed(others)
        return [answers[place] for place in range(len(answers))], bool(known)

    async def recommendations(self, request: Request) -> Response:
        async with self.admission.answering():
            parsed = await self._parsed(RecommendationRequest, request)
            customers = await asyncio.to_thread(queries_of, self.store, parsed.customers)
            answers = await self.backend.recommend(customers, options_of(parsed))
            return _response(customers, answers)

    async def similar(self, item_id: str, request: Request) -> Response:
        async with self.admission.answering():
            parsed = await self._parsed(ItemOptions, request)
            answer = await self.backend.similar(item_id, item_options(parsed))
        if answer is None:
            raise HTTPException(404, f"the catalogue has no item {item_id!r}")
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def model(self) -> Response:
        return JSONResponse(self.admission.loaded())

    def _looked_up(
        self, request: ValueRequest
    ) -> tuple[dict[int, bytes], dict[int, CustomerQuery]]:
        """Encoded answers of known customers, and queries for all others, by their places in the request."""
        customers = dict(enumerate(request.customers))
        known: dict[int, bytes] = {}
        if self.known is not None:
            found = self.known.answers(default_ids(request))
            known = {place: answer for place, answer in enumerate(found) if answer is not None}
        others = [place for place in customers if place not in known]
        queries = queries_of(self.store, [customers[place] for place in others])
        asked = [replace(query, explain=request.explain) for query in queries]
        return known, dict(zip(others, asked, strict=True))

    async def _computed(self, queries: dict[int, CustomerQuery]) -> dict[int, bytes]:
        """Encoded answers to queries, by their places."""
        if not queries:
            return {}
        places = list(queries)
        try:
            answers = await self.backend.value(list(queries.values()))
        except InvalidRequest as error:
            raise InvalidRequest(at_places(error.problems, places)) from None
        return dict(zip(places, map(encoded, answers), strict=True))

    async def _parsed(self, model: type[R], request: Request) -> R:
        settings = self.admission.settings
        body = await read_body(request, settings.max_body_bytes)
        return parse(model, body, Reading(settings.limits, datetime.now(UTC)))


def add_scoring(api: FastAPI, keys: KeyRing, scoring: Scoring) -> None:
    """Let the API answer these paths for callers whose key has the scope."""
    guard = [Depends(require_scope(keys, "score"))]
    value = api.post(
        VALUE_PATH,
        dependencies=guard,
        responses=responses_of(ValueResponse, *FAILURES, headers=STATE_AGE_TOLD),
        openapi_extra=body_of(ValueRequest),
        summary="Lifetime value of customers",
    )
    value(scoring.value)
    recommendations = api.post(
        "/v1/recommendations",
        dependencies=guard,
        responses=responses_of(RecommendationResponse, *FAILURES),
        openapi_extra=body_of(RecommendationRequest),
        summary="Items for customers",
    )
    recommendations(scoring.recommendations)
    similar = api.post(
        "/v1/items/{item_id:path}/similar",
        dependencies=guard,
        responses=responses_of(SimilarResponse, *FAILURES),
        openapi_extra=body_of(ItemOptions),
        summary="Items like one item",
    )
    similar(scoring.similar)
    model = api.get(
        "/v1/model",
        dependencies=guard,
        responses=errors_of(401, 403, 503),
        summary="What answers, and how well",
    )
    model(scoring.model)


def queries_of(store: EventStore, customers: list[Customer]) -> list[CustomerQuery]:
    """The customers of a request with their events, from the request or else from the store, in their order."""
    known = [customer.customer_id for customer in customers if customer.events is None]
    stored = store.events_of([customer_id for customer_id in known if customer_id is not None])
    described = store.attributes_of([customer.customer_id or "" for customer in customers])
    queries = []
    for customer in customers:
        customer_id = customer.customer_id or ""
        events = stored[customer_id] if customer.events is None else event_frame(customer)
        attributes: Attributes = described.get(customer_id, {}) | customer.attributes
        queries.append(
            CustomerQuery(customer.customer_id, events, attributes, customer.as_of, store.data_end)
        )
    return queries


def options_of(request: RecommendationRequest) -> RecommendOptions:
    """The part of a request that holds for all its customers."""
    return replace(
        item_options(request),
        objective=request.objective,
        bought_within_days=request.bought_within_days,
        max_per_category=request.max_per_category,
        min_new_share=request.min_new_share,
    )


def item_options(request: ItemOptions) -> RecommendOptions:
    """How many items, and which."""
    return RecommendOptions(
        k=request.k,
        candidates=None if request.candidates is None else tuple(request.candidates),
        exclude=tuple(request.exclude),
        category=request.category,
        query=request.query,
        min_price=request.min_price,
        max_price=request.max_price,
        in_stock=request.in_stock,
    )


def _response(customers: list[CustomerQuery], answers: list[Answer]) -> Response:
    assert len(answers) == len(customers)
    return JSONResponse({"customers": answers}, headers={"Cache-Control": "no-store"})
