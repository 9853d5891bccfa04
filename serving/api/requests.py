"""What may come in over HTTP: strict pydantic models, and limits on every size."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, Self, TypeVar

import polars as pl
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lifecycle.events.schema import (
    EVENT_SCHEMA,
    FIRST_YEAR,
    KINDS,
    LAST_YEAR,
    MAX_LEFT_OUT,
    MAX_RATE,
    MIN_RATE,
    OWN_RATE,
    REVENUE_KINDS,
)

MAX_AMOUNT = 1e12  # its square is still far from overflow
MAX_LISTED_ITEMS = 1000
MAX_EXPLAINED_BY_EVENTS = 8
R = TypeVar("R", bound="Request")


@dataclass(frozen=True)
class Limits:
    """The most that one request may hold."""

    max_customers: int
    max_events: int  # of one customer


class InvalidRequest(ValueError):
    """A request that cannot be answered as it stands; each problem names its field."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))
        self.problems = problems


def parse_instant(value: object) -> datetime:
    """A UTC instant from an ISO 8601 string; without a zone it is taken as UTC, a date as its midnight."""
    if not isinstance(value, str):
        raise ValueError("must be a string with an ISO 8601 timestamp")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is not an ISO 8601 timestamp such as 2026-01-31T18:30:00Z") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Identifier = Annotated[str, Field(min_length=1, max_length=256)]
Instant = Annotated[
    datetime,
    PlainValidator(parse_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Amount = Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
Price = Annotated[float, Field(ge=0, le=MAX_AMOUNT)]
Attribute = (
    Annotated[str, Field(max_length=256)]
    | Amount
    | Annotated[int, Field(ge=-(2**53), le=2**53)]
    | bool
    | None
)


class Strict(BaseModel):
    """Unknown keys, wrong types, NaN and infinity are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Event(Strict):
    """One event of a customer, in the columns of the event schema."""

    event_id: Identifier | None = None
    customer_id: Identifier | None = None
    occurred_at: Instant
    kind: str = Field(json_schema_extra={"enum": list(KINDS)})
    order_id: Identifier | None = None
    item_id: Identifier | None = None
    quantity: Amount | None = None
    amount: Amount | None = Field(
        default=None, validate_default=True, description="money in; refunds negative"
    )
    discount: Price | None = None
    cost: Price | None = None
    rating: Amount | None = None
    text: Annotated[str, Field(max_length=2000)] | None = None
    impression_id: Identifier | None = None

    @field_validator("kind")
    @classmethod
    def _kind_exists(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"must be one of {', '.join(KINDS)}")
        return kind

    @field_validator("amount")
    @classmethod
    def _amount_fits_kind(cls, amount: float | None, info: ValidationInfo) -> float | None:
        kind = info.data.get("kind")
        if kind in REVENUE_KINDS and (amount is None or amount < 0):
            raise ValueError(f"must be given and at least 0 for a {kind}")
        if kind == "refund" and (amount is None or amount > 0):
            raise ValueError("must be given and at most 0 for a refund")
        return amount


class Customer(Strict):
    """A customer known to the event store by customer_id, or described by its events, which then are all it did."""

    customer_id: Identifier | None = Field(
        default=None, description="looked up in the event store without `events`"
    )
    events: list[Event] | None = Field(
        default=None, min_length=1, description="the whole history; not looked up"
    )
    attributes: dict[Annotated[str, Field(max_length=64)], Attribute] = Field(
        default={}, max_length=64
    )
    as_of: Instant | None = Field(
        default=None,
        description="predict from what was known before; default: the later of data's end and last event",
    )

    @field_validator("events")
    @classmethod
    def _events_within_limit(
        cls, events: list[Event] | None, info: ValidationInfo
    ) -> list[Event] | None:
        if (
            events is not None
            and isinstance(info.context, Limits)
            and len(events) > info.context.max_events
        ):
            raise ValueError(
                f"has {len(events)} events; at most {info.context.max_events} are allowed"
            )
        ids = [event.event_id for event in events or [] if event.event_id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("holds the same event_id twice")
        return events

    @field_validator("attributes")
    @classmethod
    def _discount_rate_exists(cls, attributes: dict[str, object]) -> dict[str, object]:
        rate = attributes.get(OWN_RATE)
        if rate is not None and (isinstance(rate, str | bool) or not MIN_RATE <= rate <= MAX_RATE):  # type: ignore[operator]
            raise ValueError(f"{OWN_RATE} must be a number from {MIN_RATE} to {MAX_RATE}")
        return attributes

    @model_validator(mode="after")
    def _is_identified(self) -> Self:
        if self.customer_id is None and self.events is None:
            raise ValueError("needs customer_id or events")
        if any(event.customer_id not in (None, self.customer_id) for event in self.events or []):
            raise ValueError("holds events of another customer_id")
        return self


class Request(Strict):
    """What both scoring endpoints share."""

    customers: list[Customer] = Field(min_length=1)

    @field_validator("customers")
    @classmethod
    def _customers_within_limit(
        cls, customers: list[Customer], info: ValidationInfo
    ) -> list[Customer]:
        if isinstance(info.context, Limits) and len(customers) > info.context.max_customers:
            raise ValueError(
                f"has {len(customers)} customers; at most {info.context.max_customers} are allowed"
            )
        return customers


class ValueRequest(Request):
    """Body of POST /v1/value."""

    explain: Literal["features", "events"] = Field(
        default="features",
        description=f"what explanations name; events takes up to {MAX_LEFT_OUT} predictions per customer",
    )

    @model_validator(mode="after")
    def _few_are_explained_by_events(self) -> Self:
        if self.explain == "events" and len(self.customers) > MAX_EXPLAINED_BY_EVENTS:
            raise ValueError(f"explain: events is for at most {MAX_EXPLAINED_BY_EVENTS} customers")
        return self


class RecommendationRequest(Request):
    """Body of POST /v1/recommendations."""

    k: int = Field(default=10, ge=1, le=100)
    candidates: list[Identifier] | None = Field(
        default=None, min_length=1, max_length=MAX_LISTED_ITEMS
    )
    exclude: list[Identifier] = Field(default=[], max_length=MAX_LISTED_ITEMS)
    category: Identifier | None = None
    query: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    min_price: Price | None = None
    max_price: Price | None = Field(default=None)
    in_stock: bool | None = None
    objective: Literal["probability", "margin"] = "probability"

    @field_validator("max_price")
    @classmethod
    def _prices_in_order(cls, max_price: float | None, info: ValidationInfo) -> float | None:
        min_price = info.data.get("min_price")
        if max_price is not None and min_price is not None and max_price < min_price:
            raise ValueError(f"is below min_price {min_price}")
        return max_price


def parse(model: type[R], body: bytes, limits: Limits) -> R:
    """The request in a JSON body; InvalidRequest names every field that does not fit, never its value."""
    try:
        return model.model_validate_json(body, context=limits)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    raise InvalidRequest(
        [
            (
                ".".join(map(str, problem["loc"])) or "body",
                problem["msg"].removeprefix("Value error, "),
            )
            for problem in problems[:20]
        ]
    )


def event_frame(customer: Customer) -> pl.DataFrame:
    """The events of a request in the columns of EVENT_SCHEMA, by time; ids that were left out are filled in."""
    rows = [
        event.model_dump()
        | {
            "customer_id": customer.customer_id or "",
            "event_id": event.event_id or f"request-{position}",
        }
        for position, event in enumerate(customer.events or [])
    ]
    return pl.DataFrame(rows, schema=EVENT_SCHEMA).sort("occurred_at", maintain_order=True)
