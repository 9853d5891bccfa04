"""A customer in a request, known to the event store or described by its whole history."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Self

import polars as pl
from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from lifecycle.events.schema import (
    EVENT_SCHEMA,
    KINDS,
    MAX_PLAN_DAYS,
    MAX_RATE,
    MIN_PLAN_DAYS,
    MIN_RATE,
    OWN_RATE,
    REVENUE_KINDS,
)
from serving.api.fields import STRICT, Amount, Attribute, Identifier, Instant, Price, Reading

MAX_AHEAD = timedelta(days=1)  # clocks and zones differ


class Event(BaseModel):
    """One event of a customer, in the columns of the event schema."""

    model_config = STRICT

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
    plan_days: Annotated[float, Field(ge=MIN_PLAN_DAYS, le=MAX_PLAN_DAYS)] | None = Field(
        default=None, description="how many days a payment for a plan covers"
    )

    @field_validator("occurred_at")
    @classmethod
    def _has_happened(cls, occurred_at: datetime, info: ValidationInfo) -> datetime:
        reading = info.context
        if isinstance(reading, Reading) and occurred_at > reading.now + MAX_AHEAD:
            raise ValueError("lies more than a day ahead; events are what has happened")
        return occurred_at

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


class Customer(BaseModel):
    """A customer known to the event store by customer_id, or described by its events, which then are all it did."""

    model_config = STRICT

    customer_id: Identifier | None = Field(
        default=None, description="looked up in the event store without `events`"
    )
    events: list[Event] | None = Field(
        default=None, min_length=1, description="the whole history; not looked up"
    )
    attributes: dict[Annotated[str, Field(max_length=64)], Attribute] = Field(
        default_factory=dict,  # where it is a value, every customer gets a deep copy
        max_length=64,
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
        reading = info.context
        most = reading.limits.max_events if isinstance(reading, Reading) else None
        if events is not None and most is not None and len(events) > most:
            raise ValueError(f"has {len(events)} events; at most {most} are allowed")
        ids = [event.event_id for event in events or [] if event.event_id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("holds the same event_id twice")
        return events

    @field_validator("attributes")
    @classmethod
    def _discount_rate_exists(cls, attributes: dict[str, Attribute]) -> dict[str, Attribute]:
        rate = attributes.get(OWN_RATE)
        if rate is not None and (isinstance(rate, str | bool) or not MIN_RATE <= rate <= MAX_RATE):
            raise ValueError(f"{OWN_RATE} must be a number from {MIN_RATE} to {MAX_RATE}")
        return attributes

    @model_validator(mode="after")
    def _is_identified(self) -> Self:
        if self.customer_id is None and self.events is None:
            raise ValueError("needs customer_id or events")
        if any(event.customer_id not in (None, self.customer_id) for event in self.events or []):
            raise ValueError("holds events of another customer_id")
        return self


def event_frame(customer: Customer) -> pl.DataFrame:
    """The events of a request in the columns of EVENT_SCHEMA, by time; ids that were left out are filled in."""
    events = customer.events or []
    ids = [event.event_id or f"request-{position}" for position, event in enumerate(events)]
    frame = frame_of(events).with_columns(
        pl.Series("event_id", ids, dtype=pl.String),
        pl.lit(customer.customer_id or "").alias("customer_id"),
    )
    return frame.sort("occurred_at", maintain_order=True)


def frame_of(events: Sequence[Event]) -> pl.DataFrame:
    """Events in the columns of EVENT_SCHEMA, in their order."""
    columns = {name: [getattr(event, name, None) for event in events] for name in EVENT_SCHEMA}
    return pl.DataFrame(columns, schema=EVENT_SCHEMA)
