"""What the artifact will hold: settings, models and manifest, from what the arena decided."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact.contents import (
    NEXT_ITEM_MEMBER,
    Artifact,
    ArtifactManifest,
    RerankSettings,
    Settings,
)
from lifecycle.decisions.segments import fit_thresholds
from lifecycle.events.schema import OWN_RATE
from lifecycle.features.attributes import read_customers
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.llama.member import base_model_identity
from lifecycle.names import LLAMA, RERANKER, SEQUENCE_LLAMA
from lifecycle.spend.models import SpendModels
from lifecycle.value.clv import buyer_behaviour, customer_values
from lifecycle.value.costs import CostDefaults, CostRate, CostRates, fit_cost_rates
from lifecycle.value.prospects import ProspectRates
from lifecycle.value.said import Outlook, heeded_outlook
from lifecycle.value.standing import Standings
from training.evaluate.customers.cost_weights import with_weights
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.rankings import Recommendation
from training.evaluate.recommend.serving import router_of, serving_rankers
from training.evaluate.value.forecasts import Judged
from training.evaluate.value.windows import ExampleSets
from training.results.recommend import Reranking

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What the arena decided."""

    champion: str
    winner: Judged
    churn: str | None
    recommendation: Recommendation
    prospects: ProspectRates | None
    standings: Standings


def new_artifact(
    inputs: Inputs, sets: ExampleSets, choice: Choice, models: SpendModels
) -> Artifact:
    """What will be served, in memory; its folder is not written yet."""
    settings = _settings(inputs, sets, choice, models)
    manifest = ArtifactManifest(
        identity=inputs.identity,
        made_from=inputs.made_from,
        champion=choice.champion,
        recommender=choice.recommendation.chosen,
        horizon_days=inputs.horizon_days,
        clv=inputs.config.clv,
        costs=cost_table(settings.costs),
        currency=settings.currency,
        segment_thresholds=settings.thresholds,
        segments_as_of=str(inputs.time_split.test_cutoff),
        prompt_version=PROMPT_VERSION,
        features=FEATURES,
        dataset=inputs.examples,
        base_model=inputs.members[LLAMA].base_model if LLAMA in inputs.members else None,
        season=models.season,
    )
    return Artifact(
        folder=inputs.config.output / "artifact",
        manifest=manifest,
        settings=settings,
        items=inputs.items,
        rankers=serving_rankers(
            inputs, choice.recommendation.recommender, choice.recommendation.learned
        ),
        models=models,
    )


def members_of(inputs: Inputs, artifact: Artifact) -> dict[str, Path]:
    """The folders of the members that the artifact takes along."""
    config = inputs.config
    found = dict(config.members)
    if artifact.encoder is not None:
        found[NEXT_ITEM_MEMBER] = config.ranking_members[SEQUENCE_LLAMA]
    if artifact.settings.reranking is not None and RERANKER in config.ranking_members:
        found[RERANKER] = config.ranking_members[RERANKER]
    return found


def cost_table(costs: CostRates) -> dict[str, CostRate]:
    """By cost: the shop's average rate, a share of spend or per customer and day, and whether the data told it."""
    return {name: getattr(costs, name) for name in CostDefaults.model_fields}


def with_own_rates(rows: pl.DataFrame, data: Path) -> pl.DataFrame:
    """The rows with OWN_RATE, the discount rate that the table of customers gives each, or null."""
    rates = read_customers(data).select("customer_id", OWN_RATE)
    return rows.join(rates, on="customer_id", how="left", maintain_order="left")


def _settings(inputs: Inputs, sets: ExampleSets, choice: Choice, models: SpendModels) -> Settings:
    """Cost rates, segment thresholds and the rest, from what was known of the test customers at their cutoff."""
    config = inputs.config
    horizon = inputs.horizon_days
    test = with_own_rates(sets.test, config.data)
    costs = with_weights(fit_cost_rates(test, config.costs), sets.backtest, config.data)
    stated = config.costs.model_fields_set
    free = [
        name
        for name in CostDefaults.model_fields
        if name not in stated and not getattr(costs, name).is_learned
    ]
    if free:
        logger.warning(
            "values are without %s: the data hold no such costs; state them as costs",
            ", ".join(free),
        )
    for name in sorted(stated):
        if getattr(costs, name).is_learned:
            logger.warning("costs.%s is ignored: the data hold such costs", name)
    spreading = models.spreading(choice.champion)
    behaviour = buyer_behaviour(test, spreading, config.clv, horizon, models.season)
    outlook = heeded_outlook(
        choice.standings,
        test,
        Outlook(choice.winner.forecast.test, {}, behaviour),
        config.clv,
        horizon,
    )
    values = customer_values(test, outlook.total, {}, outlook.behaviour, costs, config.clv, horizon)
    gaps = test["mean_gap_days"].drop_nulls()
    router = router_of(choice.recommendation.recommender)
    return Settings(
        champion=choice.champion,
        churn=choice.churn,
        recommender=choice.recommendation.chosen,
        recommender_by_group={} if router is None else dict(router.by_group),
        horizon_days=horizon,
        currency=inputs.data.currency,
        data_end=inputs.data.last_event_at.isoformat(),
        usual_gap_days=float(np.median(gaps.to_numpy())) if gaps.len() else float(horizon),
        clv=config.clv,
        costs=costs,
        prospects=choice.prospects,
        standings=choice.standings,
        thresholds=fit_thresholds(values.clv),
        stages=config.stages,
        actions=inputs.actions,
        attributes=inputs.attributes,
        categories=inputs.categories,
        intervals=choice.winner.intervals,
        money_unit=inputs.money_unit,
        timezone=inputs.data.timezone,
        exclude_seen=config.exclude_seen,
        reranking=_reranking(inputs, choice.recommendation.recommender.reranking),
    )


def _reranking(inputs: Inputs, found: Reranking | None) -> RerankSettings | None:
    """What the service re-ranks with; None where that brings nothing, so that no time goes into it."""
    if found is None or found.weight == 0:
        return None
    base_model = base_model_identity(str(inputs.base_model))
    return RerankSettings(found.weight, inputs.config.num_candidates, base_model)
