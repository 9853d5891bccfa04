"""Which ranker answers each customer of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.features.attributes import given
from lifecycle.recommend.router import Router
from serving.predict.queries import CustomerQuery, names_of
from serving.predict.rules import cutoff_frame


@dataclass(frozen=True)
class Asked:
    """A customer within a batch, and which ranker answers."""

    name: str
    as_of: datetime
    num_orders: int
    model: str
    segment: str | None


def routes(
    artifact: Artifact,
    router: Router,
    customers: Sequence[CustomerQuery],
    as_of: Sequence[datetime],
    purchases: pl.DataFrame,
) -> list[Asked]:
    """Each customer of a batch, in order; `purchases` are all of items, whether or not the catalogue has them still."""
    orders = dict(purchases.group_by("customer_id").agg(pl.col("order_id").n_unique()).iter_rows())
    asked = []
    for name, customer, instant in zip(names_of(customers), customers, as_of, strict=True):
        num_orders = orders.get(name, 0)
        segment = _segment(artifact, customer)
        model = router.ranker_of(num_orders, knows_segment=segment is not None)
        asked.append(Asked(name, instant, num_orders, model, segment))
    return asked


def _segment(artifact: Artifact, customer: CustomerQuery) -> str | None:
    """The customer's value of the attribute that tells what newcomers buy; None where nobody knows it."""
    segments = None if artifact.rankers is None else artifact.rankers.segments
    if segments is None:
        return None
    code = next(code for code in artifact.settings.attributes if code.name == segments.attribute)
    value = given(code, customer.attributes.get(code.name))
    return value if isinstance(value, str) and value in segments.values else None


def cutoffs_of(asked: Sequence[Asked]) -> pl.DataFrame:
    """customer_id and cutoff."""
    return cutoff_frame([one.name for one in asked], [one.as_of for one in asked])
