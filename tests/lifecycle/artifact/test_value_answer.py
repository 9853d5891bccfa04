"""The answer out of an assessment: every number at its customer, in plain types that JSON has."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl

from lifecycle.artifact.assessment import Assessment
from lifecycle.artifact.value_answer import value_answers
from lifecycle.value.clv import CustomerValues

# Each pair of two customers, a and b; told apart by their size.
PAIRS = (
    "clv revenue refunds goods_cost service_cost marketing_cost discounting annual_discount_rate "
    "expected_orders expected_order_value p_active churn_probability"
).split()


def assessment() -> Assessment:
    numbers = {name: np.array([place, 100.0 + place]) for place, name in enumerate(PAIRS)}
    values = CustomerValues(
        **numbers,
        clv_bounds={0.8: (np.array([-1.0, 99.0]), np.array([1.0, 101.0]))},
        period_revenue=np.array([[1.0, 2.0], [3.0, 4.0]]),
        period_cost=np.array([[0.1, 0.2], [0.3, 0.4]]),
        period_discounted=np.array([[0.9, 1.7], [2.6, 3.3]]),
        extrapolated=np.array([False, True]),
    )
    labels = {name: np.array([f"{name} a", f"{name} b"]) for name in ("segment", "stage")}
    return Assessment("stack", values, labels)


def test_every_number_is_its_customers_own() -> None:
    instant = datetime(2024, 3, 1, 0, 0, 0, 1, tzinfo=UTC)
    examples = pl.DataFrame({"customer_id": ["a", "b"], "cutoff": [instant, instant]})
    reasons = [[], [{"feature": "recency_days", "value": 3.0, "effect": None}]]
    first, second = value_answers(examples, assessment(), reasons, "EUR")
    assert list(first)[:2] == ["customer_id", "clv"] and first["customer_id"] == "a"
    assert [second[name] for name in PAIRS] == [100.0 + place for place in range(len(PAIRS))]
    assert (first["low_80"], first["high_80"], second["high_80"]) == (-1.0, 1.0, 101.0)
    assert second["periods"] == [
        {"t": 1, "revenue": 3.0, "cost": 0.3, "discounted": 2.6, "extrapolated": False},
        {"t": 2, "revenue": 4.0, "cost": 0.4, "discounted": 3.3, "extrapolated": True},
    ]
    assert (second["segment"], second["explanation"]) == ("segment b", reasons[1])
    assert {answer["as_of"] for answer in (first, second)} == {"2024-03-01T00:00:00.000001+00:00"}
    assert json.loads(json.dumps(first)) == first and first["currency"] == "EUR"
