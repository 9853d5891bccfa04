"""Bodies of the endpoints, and how they are read."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from lifecycle.decisions.segments import SEGMENTS
from lifecycle.decisions.stages import STAGES
from lifecycle.events.schema import MAX_LEFT_OUT, REVENUE_KINDS
from serving.api.fields import MAX_AMOUNT, OF_URL, STRICT, Identifier, Price, Reading
from serving.api.histories import Customer, Event
from serving.predict.problems import InvalidRequest, Problem
from serving.predict.queries import Explain

MAX_LISTED_ITEMS = 1000
MAX_EXPLAINED_BY_EVENTS = 8
MAX_LOGGED_EVENTS = 10_000
IDS = ("event_id", "customer_id", "order_id", "item_id", "impression_id")
MAX_PROBLEMS = 20  # that are named


def _within_limit(customers: list[Customer], info: ValidationInfo) -> list[Customer]:
    reading = info.context
    if isinstance(reading, Reading) and len(customers) > reading.limits.max_customers:
        most = reading.limits.max_customers
        raise ValueError(f"has {len(customers)} customers; at most {most} are allowed")
    return customers


Customers = Annotated[list[Customer], Field(min_length=1), AfterValidator(_within_limit)]


class ValueRequest(BaseModel):
    """Body of POST /v1/value."""

    model_config = STRICT

    customers: Customers
    explain: Explain = Field(
        default="features",
        description=f"what explanations name; events takes up to {MAX_LEFT_OUT} predictions per customer",
    )

    @model_validator(mode="after")
    def _few_are_explained_by_events(self) -> Self:
        if self.explain == "events" and len(self.customers) > MAX_EXPLAINED_BY_EVENTS:
            raise ValueError(f"explain: events is for at most {MAX_EXPLAINED_BY_EVENTS} customers")
        return self


class ItemOptions(BaseModel):
    """Body of POST /v1/items/{id}/similar: how many items, and which may be answered."""

    model_config = STRICT

    k: int = Field(default=10, ge=1, le=100)
    candidates: list[Identifier] | None = Field(
        default=None, min_length=1, max_length=MAX_LISTED_ITEMS
    )
    exclude: list[Identifier] = Field(default=[], max_length=MAX_LISTED_ITEMS)
    category: Identifier | None = None
    query: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    in_stock: bool | None = None

    @field_validator("max_price")
    @classmethod
    def _prices_in_order(cls, max_price: float | None, info: ValidationInfo) -> float | None:
        min_price = info.data.get("min_price")
        if max_price is not None and min_price is not None and max_price < min_price:
            raise ValueError(f"is below min_price {min_price}")
        return max_price


class RecommendationRequest(ItemOptions):
    """Body of POST /v1/recommendations."""

    customers: Customers
    objective: Literal["probability", "margin"] = "probability"
    bought_within_days: int | None = Field(
        default=None, ge=1, le=36_500, description="leaves out what was bought so lately"
    )
    max_per_category: int | None = Field(default=None, ge=1, le=100)
    min_new_share: float = Field(
        default=0.0, ge=0, le=1, description="of a list of k, of items not bought before"
    )


def _can_be_logged(event: Event) -> Event:
    """What a log asks of an event beside what every request does; ingest has the same rules."""
    for name in ("event_id", "customer_id"):
        if getattr(event, name) is None:
            raise ValueError(f"needs {name}")
    for name, value in event:
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{name} holds a NUL character")
        if name in IDS and value is not None and value != value.strip():
            raise ValueError(f"{name} begins or ends with a blank")
    is_taken_back = event.quantity is not None and event.quantity < 0 and (event.amount or 0) > 0
    if event.kind in REVENUE_KINDS and is_taken_back:
        raise ValueError(f"quantity is negative for a {event.kind} of a positive amount")
    return event


class EventsRequest(BaseModel):
    """Body of POST /v1/events."""

    model_config = STRICT

    events: list[Annotated[Event, AfterValidator(_can_be_logged)]] = Field(
        min_length=1,
        max_length=MAX_LOGGED_EVENTS,
        description="each needs event_id, by which it counts once, and customer_id",
    )


class ProfileRequest(BaseModel):
    """Query of GET /v1/customers/{id}."""

    model_config = OF_URL

    limit: int = Field(default=50, ge=1, le=1000, description="events of the timeline")


class PageRequest(BaseModel):
    """Query of GET /v1/customers."""

    model_config = OF_URL

    segment: Literal[SEGMENTS] | None = None  # type: ignore[valid-type]
    stage: Literal[STAGES] | None = None  # type: ignore[valid-type]
    min_clv: Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)] | None = None
    cursor: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="next_cursor of the page before"
    )
    limit: int = Field(default=100, ge=1, le=1000, description="customers of a page")


R = TypeVar("R", ValueRequest, RecommendationRequest, ItemOptions, EventsRequest)
Q = TypeVar("Q", ProfileRequest, PageRequest)


def parse(model: type[R], body: bytes, reading: Reading) -> R:
    """The request in a JSON body; InvalidRequest names every field that does not fit, never its value."""
    try:
        return model.model_validate_json(body, context=reading)
    except ValidationError as error:
        raise _invalid(error) from None


def from_url(model: type[Q], query: Mapping[str, str]) -> Q:
    """The request in the query of a URL; InvalidRequest as `parse` raises it."""
    try:
        return model.model_validate(dict(query))
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> InvalidRequest:
    errors = error.errors(include_url=False, include_input=False)
    return InvalidRequest([_problem(each) for each in errors[:MAX_PROBLEMS]])


def _problem(error: ErrorDetails) -> Problem:
    """In the words of our own validator where one raised it, else in pydantic's."""
    raised = error.get("ctx", {}).get("error")
    message = str(raised) if isinstance(raised, ValueError) else error["msg"]
    return Problem(".".join(map(str, error["loc"])) or "body", message)
