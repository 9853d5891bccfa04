"""What the predictor is asked: plain values that travel between processes."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl


@dataclass(frozen=True)
class CustomerQuery:
    """One customer with its history; `as_of` None means the later of the data's end and the last event."""

    customer_id: str | None
    events: pl.DataFrame  # columns of EVENT_SCHEMA, one customer, by time; may hold events after as_of
    attributes: dict[str, str | float | int | bool | None]
    as_of: datetime | None


@dataclass(frozen=True)
class RecommendOptions:
    """What may be recommended, how much of it, and what for: probability or margin."""

    k: int
    candidates: tuple[str, ...] | None
    exclude: tuple[str, ...]
    category: str | None
    query: str | None
    min_price: float | None
    max_price: float | None
    in_stock: bool | None
    objective: str
