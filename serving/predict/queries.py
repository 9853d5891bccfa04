"""What the predictor is asked, and the form of what it answers: plain values that travel between processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

Attributes = dict[str, str | float | int | bool | None]
JSON = str | int | float | bool | None | Sequence["JSON"] | dict[str, "JSON"]


@dataclass(frozen=True)
class CustomerQuery:
    """One customer of a request; `events` has the columns of EVENT_SCHEMA and may hold later events than `as_of`."""

    customer_id: str | None
    events: pl.DataFrame
    attributes: Attributes
    as_of: datetime | None = (
        None  # UTC; None: the later of the data's end and the customer's last event
    )
    data_end: datetime | None = (
        None  # the last event of the store; None: that of the data the artifact was made from
    )
    explain: str = "features"  # what explanations name: features or events


@dataclass(frozen=True)
class RecommendOptions:
    """What may be recommended, and how many."""

    k: int = 10
    candidates: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    category: str | None = None
    query: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool | None = None
    objective: str = "probability"


def cutoff_of(customer: CustomerQuery, artifact_end: datetime) -> datetime:
    """The instant before which all is known of a customer; by default its last event and the data's last one count."""
    if customer.as_of is not None:
        return customer.as_of
    last, data_end = customer.events["occurred_at"].max(), customer.data_end or artifact_end
    latest = max(data_end, last) if isinstance(last, datetime) else data_end
    return latest + timedelta(microseconds=1)  # a cutoff excludes its own instant
