"""The endpoints of scope `read`: one customer whole, and all customers page by page."""

import asyncio
import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

import polars as pl
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from lifecycle.state.answers import Answer
from serving.api.access import require_scope
from serving.api.customers import check_id
from serving.api.histories import Customer
from serving.api.openapi import parameters_of, responses_of
from serving.api.requests import PageRequest, ProfileRequest, ValueRequest, from_url
from serving.api.responses import CustomerPage, CustomerProfile
from serving.api.scoring import Scoring
from serving.keys import KeyRing
from serving.predict.marketing import marketing_numbers
from serving.predict.problems import InvalidRequest, Problem
from serving.store.events import EventStore
from serving.store.known import KnownCustomers
from serving.store.pages import Place

FAILURES = (401, 403, 422, 429, 503)
NO_STATE = (
    "this service has no customer state; start it with state=PATH, made by python -m training.score"
)
NOT_SHOWN = ("customer_id", "shop_day")  # of an event in a timeline


@dataclass(frozen=True)
class Profiles:
    """The endpoints of this file; pages need customer state."""

    scoring: Scoring

    async def profile(self, customer_id: str, request: Request) -> Response:
        check_id(customer_id)
        asked = from_url(ProfileRequest, request.query_params)
        valued = ValueRequest(customers=[Customer(customer_id=customer_id)])
        async with self.scoring.admission.answering():
            [answer], _ = await self.scoring.answers(valued)
            value = json.loads(answer)
            period_days = _period_days(self.scoring.admission.loaded())
            found = await asyncio.to_thread(
                profile_of, self.scoring.store, customer_id, value, period_days, asked.limit
            )
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    async def page(self, request: Request) -> Response:
        known = self.scoring.known
        if known is None:
            raise HTTPException(501, NO_STATE)
        asked = from_url(PageRequest, request.query_params)
        after = None if asked.cursor is None else place_of(asked.cursor)
        async with self.scoring.admission.answering():
            found = await asyncio.to_thread(page_of, known, self.scoring.store, asked, after)
        return JSONResponse(found, headers={"Cache-Control": "no-store"})


def add_profiles(api: FastAPI, keys: KeyRing, scoring: Scoring) -> None:
    """Let the API show customers to callers whose key has the scope."""
    profiles = Profiles(scoring)
    guard = [Depends(require_scope(keys, "read"))]
    page = api.get(
        "/v1/customers",
        dependencies=guard,
        responses=responses_of(CustomerPage, *FAILURES, 501),
        openapi_extra=parameters_of(PageRequest),
        summary="Customers by segment, stage and value, the most valuable first",
    )
    page(profiles.page)
    profile = api.get(
        "/v1/customers/{customer_id:path}",
        dependencies=guard,
        responses=responses_of(CustomerProfile, *FAILURES, 404),
        openapi_extra=parameters_of(ProfileRequest),
        summary="One customer: value, stage, action, orders and timeline",
    )
    profile(profiles.profile)


def profile_of(
    store: EventStore, customer_id: str, value: Answer, period_days: int, limit: int
) -> Answer:
    """What is known and expected of a customer, and the latest `limit` events, newest first."""
    events = store.events_of([customer_id])[customer_id]
    told = store.attributes_of([customer_id]).get(customer_id, {})
    return {
        "customer_id": customer_id,
        "as_of": value["as_of"],
        "currency": value["currency"],
        "attributes": dict(told),
        "segment": value["segment"],
        "stage": value["stage"],
        "next_best_action": value["next_best_action"],
        **marketing_numbers(events, value, period_days),
        "value": value,
        "num_events": events.height,
        "timeline": list(timeline_of(events, store.titles_of(events["item_id"]), limit)),
    }


def timeline_of(events: pl.DataFrame, titles: dict[str, str], limit: int) -> list[Answer]:
    """The latest events, newest first, without the fields that they do not have."""
    newest = events.sort("occurred_at", maintain_order=True).tail(limit).reverse()
    shown = newest.drop(NOT_SHOWN).with_columns(
        pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"),
        pl.col("item_id")
        .replace_strict(titles, default=None, return_dtype=pl.String)
        .alias("title"),
    )
    return [
        {name: told for name, told in row.items() if told is not None}
        for row in shown.iter_rows(named=True)
    ]


def page_of(
    known: KnownCustomers, store: EventStore, asked: PageRequest, after: Place | None
) -> Answer:
    """A page of customers and the cursor of the next; null where this is the last.

    Who is erased is left out, so that a page may be shorter. `changed_since` is who has events that
    the state does not contain yet; what is said of them is from before.
    """
    rows = known.pages.page(
        segment=asked.segment,
        stage=asked.stage,
        min_clv=asked.min_clv,
        after=after,
        limit=asked.limit + 1,
    )
    shown = rows.head(asked.limit)
    erased, changed = store.since_then(shown["customer_id"].to_list())
    customers = [
        row
        | {
            "as_of": row["as_of"].isoformat(),
            "changed_since": row["customer_id"] in changed,
        }
        for row in shown.iter_rows(named=True)
        if row["customer_id"] not in erased
    ]
    cursor = None
    if rows.height > asked.limit:
        last = shown.row(-1, named=True)
        cursor = cursor_of(Place(last["clv"], last["customer_id"]))
    return {
        "customers": customers,  # type: ignore[dict-item]
        "next_cursor": cursor,
        "num_unlisted": known.num_unlisted(),
    }


def cursor_of(place: Place) -> str:
    """A place between pages as a word for a URL."""
    return urlsafe_b64encode(json.dumps([place.clv, place.customer_id]).encode()).decode()


def place_of(cursor: str) -> Place:
    """The place that `cursor_of` wrote; InvalidRequest for any other word."""
    try:
        clv, customer_id = json.loads(urlsafe_b64decode(cursor))
        if isinstance(clv, int | float) and isinstance(customer_id, str):
            return Place(float(clv), customer_id)
    except (ValueError, TypeError, binascii.Error):
        pass
    problem = Problem("cursor", "is not the next_cursor of a page")
    raise InvalidRequest([problem])


def _period_days(described: Answer) -> int:
    clv = described["clv"]
    assert isinstance(clv, dict) and isinstance(clv["period_days"], int)
    return clv["period_days"]
