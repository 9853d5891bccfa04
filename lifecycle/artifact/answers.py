"""How an artifact answers for customers: spend, value and its parts, labels, explanations."""

from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.artifact.contents import Artifact, Settings
from lifecycle.decisions.actions import next_best_action
from lifecycle.decisions.segments import assign_segments
from lifecycle.decisions.stages import stages
from lifecycle.events.schema import OWN_RATE
from lifecycle.features.attributes import category_of, encode
from lifecycle.features.numbers import CATEGORY_SHARE, value_features
from lifecycle.features.prompts import value_prompts
from lifecycle.features.standing import OVERDUE, PAID, standings
from lifecycle.names import LLAMA
from lifecycle.spend.contributions import Contributions, Reason, facts
from lifecycle.value.clv import (
    Behaviour,
    CustomerValues,
    buyer_behaviour,
    customer_values,
    prospect_behaviour,
)
from lifecycle.value.intervals import bounds
from lifecycle.value.outcomes import outcomes_over
from lifecycle.value.prospects import (
    CONTACTS,
    has_bought_before,
    prospect_bounds,
    prospect_spend,
)
from lifecycle.value.said import Outlook, heeded_outlook
from lifecycle.value.standing import SINCE, numbers, standing_of

# By standing, the facts that explain what is expected.
PLAN = ("plan_days_left", "plan_days", "num_plan_payments")
REASONS = {name: (since, "num_orders", "recency_days") for name, since in SINCE.items()} | {
    PAID: PLAN,
    OVERDUE: PLAN,
}


def examples_for(artifact: Artifact, events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Keys, FEATURES and STANDING at cutoffs, the prompt where the champion reads it, attributes and OWN_RATE.

    The same functions made the training rows. Attributes and OWN_RATE are those that `cutoffs` has
    beside its keys.
    """
    settings = artifact.settings
    features = value_features(events, cutoffs, settings.horizon_days, artifact.placed_items)
    given = [cutoffs[OWN_RATE]] if OWN_RATE in cutoffs.columns else []
    # In the cutoffs' order.
    features = features.hstack(
        [*standings(events, cutoffs), *given, *encode(settings.attributes, cutoffs)]
    )
    if LLAMA not in artifact.members:
        return features
    return features.with_columns(
        value_prompts(events, features, artifact.items, settings.money_unit)["prompt"]
    )


def contributions_of(artifact: Artifact, examples: pl.DataFrame) -> Contributions | None:
    """What the features add to the logarithm of the champion's predictions; None where it is explained by events."""
    return artifact.models.contributions(artifact.settings.champion, examples)


def reasons_for(
    artifact: Artifact, examples: pl.DataFrame, found: Contributions | None
) -> list[list[Reason]]:
    """What moved the champion's prediction of each buyer most; where it does not say, the customer's main facts.

    An attribute that has categories is told as `attribute_<name>=<category>` with the value 1, a
    category of items as `category_share=<category>` with its share of the spend. Where a standing
    decides, that is the reason. `found` are the `contributions_of` these examples.
    """
    standing = standing_of(examples)
    said = {name: facts(examples, names) for name, names in REASONS.items() if name in standing}
    if found is None:
        usual = facts(examples, ("recency_days", "num_orders", "spend_last_horizon"))
    else:
        usual = [
            [_told(artifact.settings, reason) for reason in found.top(row)]
            for row in range(examples.height)
        ]
    return [said.get(name, usual)[row] for row, name in enumerate(standing)]


def _told(settings: Settings, reason: Reason) -> Reason:
    """With the names of categories in place of their numbers."""
    feature = str(reason["feature"])
    value = reason["value"]
    names = dict(enumerate(settings.categories))
    if feature.startswith(CATEGORY_SHARE) and (
        name := names.get(int(feature.removeprefix(CATEGORY_SHARE)))
    ):
        return reason | {"feature": f"category_share={name}"}
    category = (
        category_of(settings.attributes, feature, value) if isinstance(value, float) else None
    )
    return (
        reason if category is None else reason | {"feature": f"{feature}={category}", "value": 1.0}
    )


def prospect_reasons(examples: pl.DataFrame) -> list[list[Reason]]:
    """What prospects are told apart by."""
    return facts(examples, ("num_orders", "trial_days", "cancelled_days", *CONTACTS))


def values_for(artifact: Artifact, examples: pl.DataFrame, total: np.ndarray) -> CustomerValues:
    """Lifetime values of customers who have bought, from the champion's expected spend `total` (n,)."""
    settings = artifact.settings
    horizon = settings.horizon_days
    behaviour = buyer_behaviour(
        examples, artifact.btyd, settings.clv, horizon, artifact.models.season
    )
    if settings.churn is not None:
        churn = artifact.models.no_purchase(settings.churn, examples)
        assert churn is not None, f"{settings.churn} says nothing of churn"
        will_buy = 1.0 - churn  # and has not left
        active = will_buy if artifact.btyd is None else np.maximum(behaviour.active, will_buy)
        behaviour = replace(behaviour, churn=churn, active=active)
    limits = _revenue_bounds(artifact, examples, total, behaviour)
    outlook = heeded_outlook(
        settings.standings, examples, Outlook(total, limits, behaviour), settings.clv, horizon
    )
    return customer_values(
        examples,
        outlook.total,
        outlook.bounds,
        outlook.behaviour,
        settings.costs,
        settings.clv,
        horizon,
    )


def _revenue_bounds(
    artifact: Artifact, examples: pl.DataFrame, total: np.ndarray, behaviour: Behaviour
) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """The ends of what buyers spend over all periods, by level, arrays (n,)."""
    settings = artifact.settings
    over = outcomes_over(
        examples,
        artifact.btyd,
        total,
        behaviour.churn,
        settings.horizon_days,
        expected=total * behaviour.shares.sum(axis=1),
        days=settings.clv.days,
    )
    return bounds(settings.intervals, over)


def prospect_values_for(artifact: Artifact, examples: pl.DataFrame) -> CustomerValues:
    """Lifetime values of customers who have not bought yet, from what such people went on to spend."""
    settings = artifact.settings
    total = prospect_spend(settings.prospects, examples)
    num_horizons = settings.clv.days / settings.horizon_days
    limits = prospect_bounds(settings.prospects, examples, num_horizons)
    behaviour = prospect_behaviour(
        examples, settings.prospects, settings.clv, settings.horizon_days
    )
    return customer_values(
        examples, total, limits, behaviour, settings.costs, settings.clv, settings.horizon_days
    )


def labels_for(
    artifact: Artifact,
    examples: pl.DataFrame,
    values: CustomerValues,
    found: Contributions | None = None,
) -> dict[str, np.ndarray]:
    """segment, stage and next_best_action of each customer, as text arrays (n,).

    `found` are the `contributions_of` these examples where they are known already.
    """
    settings = artifact.settings
    segment = assign_segments(settings.thresholds, values.clv)
    stage = stages_for(artifact, examples, values.churn_probability)
    action = next_best_action(
        settings.actions,
        stage=stage,
        segment=segment,
        at_risk=values.churn_probability > settings.stages.at_risk_churn,
        drivers_of=lambda rows: (
            _drivers(artifact, examples[rows]) if found is None else found.drivers()[rows]
        ),
        possible=artifact.models.possible_drivers(settings.champion, examples),
    )
    return {"segment": segment, "stage": stage, "next_best_action": action}


def stages_for(artifact: Artifact, examples: pl.DataFrame, churn: np.ndarray) -> np.ndarray:
    """The stage of each customer, as a text array (n,)."""
    gap_days = examples["mean_gap_days"].to_numpy()  # NaN of one with a single order
    return stages(
        artifact.settings.stages,
        num_orders=examples["num_orders"].to_numpy(),
        recency_days=examples["recency_days"].to_numpy(),
        tenure_days=examples["tenure_days"].to_numpy(),
        churn=churn,
        mean_gap_days=np.where(np.isnan(gap_days), artifact.settings.usual_gap_days, gap_days),
        standing=standing_of(examples),
        paused_days=numbers(examples, "paused_days"),
        has_left=has_bought_before(examples),
    )


def _drivers(artifact: Artifact, examples: pl.DataFrame) -> np.ndarray:
    """What moved each prediction most; for customers whom no trees predict, nothing."""
    found = None if examples["num_orders"][0] == 0 else contributions_of(artifact, examples)
    return np.full(examples.height, "") if found is None else found.drivers()
