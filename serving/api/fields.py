"""Types of the fields of a request: each with its limits, and strict about what it takes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema

from lifecycle.events.schema import FIRST_YEAR, LAST_YEAR

MAX_AMOUNT = 1e12  # its square is still far from overflow
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

# In a URL all is text, out of which numbers are read.
OF_URL = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Limits:
    """The most that one request may hold."""

    max_customers: int
    max_events: int  # of one customer


@dataclass(frozen=True)
class Reading:
    """What a request is read with: its limits, and the clock, by which nothing has happened much later."""

    limits: Limits
    now: datetime


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
