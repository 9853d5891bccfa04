"""What the customers are worth in all, with whom it lies, and whom to act on first: what the report opens with."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from lifecycle.artifact.assessment import Assessment, assess_buyers
from lifecycle.decisions.segments import SEGMENTS
from lifecycle.features.standing import CANCELLED, OVERDUE, PAID, PAUSED
from lifecycle.value.standing import standing_of
from training.evaluate.served import Served
from training.results.customers import ActionWorth, CustomerToAct, SegmentWorth, Worth

NUM_FIRST = 10
VALUABLE = ("top", "high")
STANDINGS = (PAID, PAUSED, OVERDUE, CANCELLED)


def worth_of(served: Served) -> Worth:
    """Of the customers that the artifact is introduced with, by what it says of them."""
    assessment = assess_buyers(served.artifact, served.known, served.spend)
    values = assessment.values
    settings = served.artifact.settings.clv
    at_risk = value_at_risk(values.clv, values.churn_probability)
    return Worth(
        as_of=str(served.known["cutoff"][0].date()),
        num_customers=served.known.height,
        period_days=settings.period_days,
        num_periods=settings.num_periods,
        annual_discount_rate=settings.annual_discount_rate,
        clv=float(values.clv.sum()),
        spend=float(served.spend.sum()),
        segments=_sums(assessment.labels["segment"], reversed(SEGMENTS), values.clv, served.spend),
        standings=_sums(standing_of(served.known), STANDINGS, values.clv, served.spend),
        actions=_actions(assessment, at_risk),
        season=served.artifact.models.season,
        first=_first(served.known["customer_id"], assessment, at_risk),
    )


def value_at_risk(clv: np.ndarray, churn_probability: np.ndarray) -> np.ndarray:
    """Value times the probability of buying nothing within the horizon, (n,); losses are not at risk."""
    at_risk: np.ndarray = np.maximum(clv, 0.0) * churn_probability
    return at_risk


def _sums(
    label: np.ndarray, names: Iterable[str], clv: np.ndarray, spend: np.ndarray
) -> dict[str, SegmentWorth]:
    """By label (n,), in the order of `names`, of those that anybody has."""
    return {
        name: SegmentWorth(
            num_customers=int(here.sum()),
            clv=float(clv[here].sum()),
            spend=float(spend[here].sum()),
        )
        for name in names
        if (here := label == name).any()
    }


def _actions(assessment: Assessment, at_risk: np.ndarray) -> dict[str, ActionWorth]:
    """Next best actions of the valuable customers, those with most value at risk first."""
    action = np.where(_is_valuable(assessment), assessment.labels["next_best_action"], "")
    found: dict[str, ActionWorth] = {}
    for name in np.unique(action):
        here = action == name
        if name:
            found[str(name)] = ActionWorth(
                num_customers=int(here.sum()),
                clv=float(assessment.values.clv[here].sum()),
                at_risk=float(at_risk[here].sum()),
            )
    return dict(sorted(found.items(), key=_by_risk))


def _is_valuable(assessment: Assessment) -> np.ndarray:
    return np.isin(assessment.labels["segment"], VALUABLE)


def _by_risk(named: tuple[str, ActionWorth]) -> tuple[float, str]:
    name, action = named
    return -action.at_risk, name


def _first(
    customers: pl.Series, assessment: Assessment, at_risk: np.ndarray
) -> list[CustomerToAct]:
    """The valuable customers with most value at risk."""
    rows = np.flatnonzero(_is_valuable(assessment))
    order = rows[np.argsort(-at_risk[rows], kind="stable")][:NUM_FIRST]
    labels = assessment.labels
    return [
        CustomerToAct(
            customer_id=customers[int(row)],
            clv=float(assessment.values.clv[row]),
            churn_probability=float(assessment.values.churn_probability[row]),
            at_risk=float(at_risk[row]),
            segment=str(labels["segment"][row]),
            stage=str(labels["stage"][row]),
            next_best_action=str(labels["next_best_action"][row]),
        )
        for row in order
    ]
