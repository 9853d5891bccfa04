"""What the predictor is asked: plain values that travel between processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA
from serving.predict.problems import Problem

Attributes = dict[str, str | float | int | bool | None]
Explain = Literal["features", "events"]


@dataclass(frozen=True)
class CustomerQuery:
    """One customer of a request.

    `events` has the columns of EVENT_SCHEMA and may hold later events than `as_of`, an instant in
    UTC. Without one, the customer's last event counts and `data_end`, the last event of the store;
    without that, the end of the data that the artifact was made from.
    """

    customer_id: str | None
    events: pl.DataFrame
    attributes: Attributes
    as_of: datetime | None = None
    data_end: datetime | None = None
    explain: Explain = "features"  # what explanations name


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
    objective: Literal["probability", "margin"] = "probability"
    bought_within_days: int | None = None  # what was bought since is left out
    max_per_category: int | None = None
    min_new_share: float = 0.0  # of a list, of items that its customer has not bought

    @property
    def has_rules(self) -> bool:
        """Whether it depends on the rest of a list whether an item may stand in it, or on its customer."""
        limits = (self.bought_within_days, self.max_per_category)
        return any(limit is not None for limit in limits) or self.min_new_share > 0


def newcomer(data_end: datetime) -> CustomerQuery:
    """Somebody who bought for the first time at the end of the data: a question that every artifact answers."""
    return buyer(data_end, None, 1)


def buyer(data_end: datetime, item_id: str | None, num_orders: int) -> CustomerQuery:
    """Somebody who bought the same in so many orders, the last of them at the end of the data."""
    bought = {"kind": "purchase", "amount": 1.0, "quantity": 1.0, "item_id": item_id}
    rows = [
        {
            "event_id": f"event {number}",
            "customer_id": "newcomer",
            "order_id": f"order {number}",
            "occurred_at": data_end - timedelta(days=num_orders - 1 - number),
        }
        for number in range(num_orders)
    ]
    events = pl.DataFrame([row | bought for row in rows], schema=EVENT_SCHEMA)
    return CustomerQuery(None, events, {}, data_end=data_end)


def names_of(customers: Sequence[object]) -> list[str]:
    """What customers are called within a batch: one may be asked for twice, and need not have an id."""
    return [f"{number:09d}" for number in range(len(customers))]


def events_of(customers: Sequence[CustomerQuery]) -> pl.DataFrame:
    """The events of all, under `names_of` them."""
    events = pl.concat([customer.events for customer in customers]).clone()
    owner = np.repeat(np.arange(len(customers)), [len(customer.events) for customer in customers])
    names = pl.Series("customer_id", names_of(customers))[owner]
    return events.replace_column(events.get_column_index("customer_id"), names)


def cutoff_of(customer: CustomerQuery, artifact_end: datetime) -> datetime:
    """The instant before which all is known of a customer; by default its last event and the data's last one count."""
    if customer.as_of is not None:
        return customer.as_of
    last = customer.events["occurred_at"].max()
    data_end = customer.data_end or artifact_end
    latest = max(data_end, last) if isinstance(last, datetime) else data_end
    return latest + timedelta(microseconds=1)  # a cutoff excludes its own instant


def unknown_at_cutoff(customers: Sequence[CustomerQuery], artifact_end: datetime) -> list[Problem]:
    """A problem for each customer all of whose events are later than its cutoff.

    One without any events, whom the shop registered, is known.
    """
    problems = []
    for position, customer in enumerate(customers):
        cutoff = cutoff_of(customer, artifact_end)
        first = customer.events["occurred_at"].min()
        if isinstance(first, datetime) and first >= cutoff:
            message = f"no event before {cutoff.isoformat()}"
            problems.append(Problem(f"customers.{position}", message))
    return problems
