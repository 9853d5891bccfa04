"""Events that tests write."""

from datetime import UTC, datetime

import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.log.writer import Batch, new_batch

CAME_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVENT = {
    "customer_id": "c1",
    "occurred_at": datetime(2026, 5, 31, 23, 59, 59, 123457, tzinfo=UTC),
    "kind": "purchase",
    "amount": 12.1,
}
FULL = {  # a value in every column that is stored
    "event_id": "é-1",
    "customer_id": "'; DROP TABLE evervalue_events; --",
    "occurred_at": datetime(1900, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    "kind": "refund",
    "order_id": "o 1",
    "item_id": "i%1",
    "quantity": -1.0,
    "amount": -0.1,
    "discount": 1e-300,
    "cost": 1e12,
    "rating": 4.5,
    "text": "two\nlines, \U0001f600",
    "impression_id": "m1",
    "plan_days": 30.5,
}


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=EVENT_SCHEMA)


def batch(*ids: str, **changes: object) -> Batch:
    """Events with these ids."""
    rows = [EVENT | {"event_id": event_id} | changes for event_id in ids]
    return new_batch(frame(*rows), CAME_AT)
