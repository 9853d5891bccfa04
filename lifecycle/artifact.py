"""The artifact: all that serving and scoring need, in one immutable folder, and how it answers for customers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from lightgbm import Booster
from pydantic import TypeAdapter

from lifecycle.actions import ActionRule, next_best_action
from lifecycle.attributes import AttributeCode, encode
from lifecycle.events import OWN_RATE
from lifecycle.explain import Contributions, Reason, contributions, facts
from lifecycle.features import FEATURES, value_features
from lifecycle.folders import verify
from lifecycle.member import LLAMA, MEMBERS, read_member
from lifecycle.prompts import PROMPT_VERSION, value_prompts
from lifecycle.recommend.retrieval import Retriever, load_retriever
from lifecycle.segments import SegmentThresholds, assign_segments
from lifecycle.stages import StageRules, stages
from lifecycle.value import ZILN
from lifecycle.value.baselines import (
    BTYD_FILE,
    LIGHTGBM_FILE,
    Btyd,
    btyd_churn,
    btyd_value,
    feature_matrix,
    inputs_of,
    lightgbm_value,
    load_btyd,
    persistence,
    spreading_btyd,
)
from lifecycle.value.clv import CustomerValues, buyer_behaviour, customer_values, prospect_behaviour
from lifecycle.value.costs import CostRates
from lifecycle.value.formula import ClvSettings
from lifecycle.value.hurdle import BOUGHT_FILE, HURDLE, Hurdle, hurdle_churn, hurdle_value, load_hurdle
from lifecycle.value.intervals import Intervals, bounds
from lifecycle.value.prospects import CONTACTS, ProspectRates, prospect_spend
from lifecycle.value.stack import (
    STACK,
    STACK_FILE,
    STACK_WITHOUT_LLAMA,
    Stack,
    load_stack,
    named_inputs,
    stack_value,
    weighted_trees,
)

if TYPE_CHECKING:
    from lifecycle.value.dense_ziln import DenseZiln

ARTIFACT_KIND = "artifact"
SETTINGS_FILE, RETRIEVER_FOLDER = "settings.json", "retriever"
PROSPECT_MODEL = "prospect_rates"  # answers for customers who have not bought yet


@dataclass(frozen=True)
class Settings:
    """What the arena decided and measured, apart from the models themselves."""

    champion: str
    churn: str | None  # the model that says who leaves; None: what spreads the champion's total over periods
    recommender: str | None  # None: the shop's data name no items
    horizon_days: int
    currency: str
    data_end: str  # ISO instant of the last event
    usual_gap_days: float  # between order days, for customers with one of them
    clv: ClvSettings
    costs: CostRates
    prospects: ProspectRates | None  # None: everybody the shop knew had bought
    thresholds: SegmentThresholds
    stages: StageRules
    actions: tuple[ActionRule, ...]
    attributes: tuple[AttributeCode, ...]
    intervals: Intervals
    exclude_seen: bool

    def save(self, folder: Path) -> None:
        """Write as JSON."""
        (folder / SETTINGS_FILE).write_bytes(TypeAdapter(Settings).dump_json(self, indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Settings":
        """What `save` wrote."""
        return TypeAdapter(Settings).validate_json((folder / SETTINGS_FILE).read_bytes())


@dataclass(frozen=True)
class Artifact:
    """A verified artifact in memory; LLaMA weights are loaded by whoever needs them."""

    folder: Path
    manifest: dict[str, object]
    settings: Settings
    items: pl.DataFrame
    retriever: Retriever | None  # None: no items to recommend
    btyd_models: dict[str, Btyd]
    lightgbm: Booster | None
    hurdle: Hurdle | None
    ziln: "DenseZiln | None"  # loaded where it is champion: it brings torch
    stack: Stack | None

    @property
    def members(self) -> dict[str, Path]:
        """The folders of the LLaMA encoders that the champion is or holds, by name."""
        champion = self.settings.champion
        names = [champion] if champion in MEMBERS else []
        if champion == STACK and self.stack is not None:
            names = list(self.stack.members)
        return {name: self.folder / "members" / name for name in names}

    @property
    def attributes(self) -> list[str]:
        """The customer attributes that trees read."""
        return [code.name for code in self.settings.attributes]

    @property
    def btyd(self) -> Btyd | None:
        """The model that spreads the champion's total over periods; None: too few customers had bought again."""
        return spreading_btyd(self.btyd_models, self.settings.champion)

    @property
    def data_end(self) -> datetime:
        """Instant of the last event the artifact was made from."""
        return datetime.fromisoformat(self.settings.data_end)


def load_artifact(folder: Path) -> Artifact:
    """Verify every file and read the models. ValueError names the folder or file that is incomplete or damaged."""
    manifest = verify(folder, ARTIFACT_KIND)
    if manifest.get("prompt_version") != PROMPT_VERSION:
        raise ValueError(
            f"artifact {folder} has prompt version {manifest.get('prompt_version')!r}, not {PROMPT_VERSION!r}"
        )
    if manifest.get("features") != list(FEATURES):
        raise ValueError(f"artifact {folder} was made for other features than this version computes; evaluate again")
    settings = Settings.load(folder)
    btyd_models = load_btyd(folder) if (folder / BTYD_FILE).exists() else {}
    artifact = Artifact(
        folder=folder,
        manifest=manifest,
        settings=settings,
        items=pl.read_parquet(folder / "items.parquet"),
        retriever=load_retriever(folder / RETRIEVER_FOLDER) if (folder / RETRIEVER_FOLDER).exists() else None,
        btyd_models=btyd_models,
        lightgbm=Booster(model_file=folder / LIGHTGBM_FILE) if (folder / LIGHTGBM_FILE).exists() else None,
        hurdle=load_hurdle(folder) if (folder / BOUGHT_FILE).exists() else None,
        ziln=_load_ziln(folder) if settings.champion == ZILN else None,
        stack=load_stack(folder, btyd_models) if (folder / STACK_FILE).exists() else None,
    )
    for member in artifact.members.values():
        read_member(member)
    return artifact


def _load_ziln(folder: Path) -> "DenseZiln":
    from lifecycle.value.dense_ziln import load_dense_ziln

    return load_dense_ziln(folder)


def check_currency(artifact: Artifact, data: dict[str, object]) -> None:
    """ValueError where the ingest folder with this manifest counts in another currency than the artifact."""
    if data["currency"] != artifact.settings.currency:
        given, made = data["currency"], artifact.settings.currency
        raise ValueError(f"the data are in {given}, but artifact {artifact.folder} was made in {made}")


def examples_for(artifact: Artifact, events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """Keys and FEATURES of customers at their cutoffs, the prompt where the champion reads it, attributes and OWN_RATE.

    The same functions made the training rows. Attributes and OWN_RATE are those that `cutoffs` has beside its keys.
    """
    features = value_features(events, cutoffs, artifact.settings.horizon_days)
    given = [cutoffs[OWN_RATE]] if OWN_RATE in cutoffs.columns else []
    features = features.with_columns(*given, *encode(artifact.settings.attributes, cutoffs))  # in the cutoffs' order
    if LLAMA not in artifact.members:
        return features
    return features.with_columns(value_prompts(events, features, artifact.items)["prompt"])


def expected_spend(
    artifact: Artifact, model: str, examples: pl.DataFrame, by_members: Mapping[str, np.ndarray]
) -> np.ndarray:
    """What a model expects customers to spend over the horizon, shape (n,).

    `by_members` has what the LLaMA encoders expect that the model is or holds, by name.
    """
    if model in by_members:
        return by_members[model]
    if model == "persistence":
        return persistence(examples)
    if model in artifact.btyd_models:
        return btyd_value(artifact.btyd_models[model], examples, artifact.settings.horizon_days)
    if model == "lightgbm" and artifact.lightgbm is not None:
        return lightgbm_value(artifact.lightgbm, examples)
    if model == HURDLE and artifact.hurdle is not None:
        return hurdle_value(artifact.hurdle, examples)
    if model == ZILN and artifact.ziln is not None:
        from lifecycle.value.dense_ziln import dense_ziln_value

        return dense_ziln_value(artifact.ziln, examples)
    if model in (STACK, STACK_WITHOUT_LLAMA) and artifact.stack is not None:
        return stack_value(artifact.stack, examples, by_members if model == STACK else None)
    raise ValueError(f"artifact {artifact.folder} holds no model {model!r}")


def contributions_of(artifact: Artifact, examples: pl.DataFrame) -> Contributions | None:
    """What the features add to the champion's predictions, where it has trees; None where it has none.

    Of a stack it is what they add to its trees that start from nothing, each weighted by its part of the prediction.
    """
    champion, stack, one = artifact.settings.champion, artifact.stack, np.ones(examples.height)
    if champion == "lightgbm" and artifact.lightgbm is not None:
        return contributions([(artifact.lightgbm, one)], feature_matrix(examples), inputs_of(examples))
    if champion == HURDLE and artifact.hurdle is not None:
        stays = hurdle_churn(artifact.hurdle, examples)  # the slope of log p in the score of a logistic model: 1 - p
        parts = [(artifact.hurdle.bought, stays), (artifact.hurdle.spend, one)]
        return contributions(parts, feature_matrix(examples), inputs_of(examples))
    if champion in (STACK, STACK_WITHOUT_LLAMA) and stack is not None:
        return contributions(weighted_trees(stack, examples), *named_inputs(stack, examples))
    return None


def reasons_for(artifact: Artifact, examples: pl.DataFrame) -> list[list[Reason]]:
    """What moved the champion's prediction of each buyer most; where it has no trees, the customer's main facts."""
    found = contributions_of(artifact, examples) if examples.height else None
    if found is None:
        return facts(examples, ("recency_days", "num_orders", "spend_last_horizon"))
    return [found.top(row) for row in range(examples.height)]


def prospect_reasons(examples: pl.DataFrame) -> list[list[Reason]]:
    """What prospects are told apart by."""
    return facts(examples, ("num_orders", *CONTACTS))


def values_for(artifact: Artifact, examples: pl.DataFrame, total: np.ndarray) -> CustomerValues:
    """Lifetime values of customers who have bought, from the champion's expected spend `total` (n,)."""
    settings = artifact.settings
    limits, horizon = bounds(settings.intervals, total), settings.horizon_days
    behaviour = buyer_behaviour(examples, artifact.btyd, settings.clv, horizon)
    if settings.churn is not None:
        churn = _churn(artifact, settings.churn, examples)
        will_buy = 1.0 - churn  # and has not left
        active = will_buy if artifact.btyd is None else np.maximum(behaviour.active, will_buy)
        behaviour = replace(behaviour, churn=churn, active=active)
    return customer_values(examples, total, limits, behaviour, settings.costs, settings.clv, horizon)


def _churn(artifact: Artifact, model: str, examples: pl.DataFrame) -> np.ndarray:
    if model == HURDLE and artifact.hurdle is not None:
        return hurdle_churn(artifact.hurdle, examples)
    return btyd_churn(artifact.btyd_models[model], examples, artifact.settings.horizon_days)


def prospect_values_for(artifact: Artifact, examples: pl.DataFrame) -> CustomerValues:
    """Lifetime values of customers who have not bought yet, from what such people went on to spend."""
    settings = artifact.settings
    total, limits = prospect_spend(settings.prospects, examples)
    behaviour = prospect_behaviour(examples, settings.prospects, settings.clv, settings.horizon_days)
    return customer_values(examples, total, limits, behaviour, settings.costs, settings.clv, settings.horizon_days)


def labels_for(artifact: Artifact, examples: pl.DataFrame, values: CustomerValues) -> dict[str, np.ndarray]:
    """segment, stage and next_best_action of each customer, as text arrays (n,)."""
    settings = artifact.settings
    segment, stage = assign_segments(settings.thresholds, values.clv), stages_for(artifact, examples, values.p_active)
    action = next_best_action(
        settings.actions,
        stage=stage,
        segment=segment,
        at_risk=values.p_active < settings.stages.at_risk_p_active,
        drivers_of=lambda rows: _drivers(artifact, examples[rows]),
    )
    return {"segment": segment, "stage": stage, "next_best_action": action}


def stages_for(artifact: Artifact, examples: pl.DataFrame, p_active: np.ndarray) -> np.ndarray:
    """The stage of each customer, as a text array (n,)."""
    return stages(
        artifact.settings.stages,
        num_orders=examples["num_orders"].to_numpy(),
        recency_days=examples["recency_days"].to_numpy(),
        tenure_days=examples["tenure_days"].to_numpy(),
        p_active=p_active,
        mean_gap_days=examples["mean_gap_days"].fill_null(artifact.settings.usual_gap_days).to_numpy(),
    )


def _drivers(artifact: Artifact, examples: pl.DataFrame) -> np.ndarray:
    """What moved each prediction most; for customers whom no trees predict, nothing."""
    found = None if examples["num_orders"][0] == 0 else contributions_of(artifact, examples)
    return np.full(examples.height, "") if found is None else found.drivers()
