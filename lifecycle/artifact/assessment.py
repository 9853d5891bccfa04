"""What an artifact says of customers: of buyers by the champion, of prospects by what such people spent."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.artifact.answers import labels_for, prospect_values_for, values_for
from lifecycle.artifact.contents import PROSPECT_MODEL, Artifact
from lifecycle.spend.contributions import Contributions
from lifecycle.value.clv import CustomerValues


@dataclass(frozen=True)
class Assessment:
    """What one model says of n customers."""

    model: str
    values: CustomerValues
    labels: dict[str, np.ndarray]  # segment, stage and next_best_action, texts (n,)


def assess_buyers(
    artifact: Artifact,
    examples: pl.DataFrame,
    total: np.ndarray,
    found: Contributions | None = None,
) -> Assessment:
    """Of customers who have bought, from the champion's expected spend `total` (n,).

    `found` are the `contributions_of` these examples where they are known already.
    """
    values = values_for(artifact, examples, total)
    labels = labels_for(artifact, examples, values, found)
    return Assessment(artifact.settings.champion, values, labels)


def assess_prospects(artifact: Artifact, examples: pl.DataFrame) -> Assessment:
    """Of customers who have not bought yet."""
    values = prospect_values_for(artifact, examples)
    return Assessment(PROSPECT_MODEL, values, labels_for(artifact, examples, values))


def money_of(values: CustomerValues) -> dict[str, np.ndarray]:
    """What the value of each customer is made of, arrays (n,) by name: revenue, and what is taken off."""
    return {
        "revenue": values.revenue,
        "refunds": values.refunds,
        "goods_cost": values.goods_cost,
        "service_cost": values.service_cost,
        "marketing_cost": values.marketing_cost,
        "discounting": values.discounting,
    }


def numbers_of(values: CustomerValues) -> dict[str, np.ndarray]:
    """All numbers of an answer but the value itself and its bounds, arrays (n,) by name."""
    return money_of(values) | {
        "annual_discount_rate": values.annual_discount_rate,
        "expected_orders": values.expected_orders,
        "expected_order_value": values.expected_order_value,
        "p_active": values.p_active,
        "churn_probability": values.churn_probability,
    }


def bounds_of(values: CustomerValues) -> dict[str, np.ndarray]:
    """The ends of the value's intervals, arrays (n,) by name: low_80, high_80 and so on."""
    bounds = {}
    for level, (low, high) in values.clv_bounds.items():
        percent = round(100 * level)
        bounds[f"low_{percent}"] = low
        bounds[f"high_{percent}"] = high
    return bounds
