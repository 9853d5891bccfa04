"""The answer of /v1/value out of an assessment: one builder for the service and for customer state."""

from collections.abc import Iterator, Sequence

import polars as pl
from pydantic import JsonValue

from lifecycle.artifact.assessment import Assessment, bounds_of, numbers_of
from lifecycle.spend.contributions import Reason
from lifecycle.state.answers import Answer
from lifecycle.value.clv import CustomerValues


def value_answers(
    examples: pl.DataFrame,
    assessment: Assessment,
    explanations: Sequence[Sequence[Reason]],
    currency: str,
) -> Iterator[Answer]:
    """The answer for each of these examples, in order, under their customer_id and as of their cutoff."""
    values = assessment.values
    numbers = {"clv": values.clv} | numbers_of(values) | bounds_of(values)
    keys = zip(examples["customer_id"], examples["cutoff"], strict=True)
    for position, (customer_id, cutoff) in enumerate(keys):
        yield {
            "customer_id": customer_id,
            **{name: float(column[position]) for name, column in numbers.items()},
            "periods": _periods(values, position),
            **{name: str(label[position]) for name, label in assessment.labels.items()},
            "explanation": [dict(reason) for reason in explanations[position]],
            "model": assessment.model,
            "currency": currency,
            "as_of": cutoff.isoformat(),
        }


def _periods(values: CustomerValues, position: int) -> list[JsonValue]:
    return [
        {
            "t": number + 1,
            "revenue": float(values.period_revenue[position, number]),
            "cost": float(values.period_cost[position, number]),
            "discounted": float(values.period_discounted[position, number]),
            "extrapolated": bool(extrapolated),
        }
        for number, extrapolated in enumerate(values.extrapolated)
    ]
