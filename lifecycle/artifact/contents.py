"""The artifact: all that serving and scoring need, in one immutable folder."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl
from pydantic import JsonValue, TypeAdapter

from lifecycle.btyd.model import Btyd
from lifecycle.btyd.season import Season
from lifecycle.decisions.actions import ActionRule
from lifecycle.decisions.segments import SegmentThresholds
from lifecycle.decisions.stages import StageRules
from lifecycle.events.shards import DataManifest
from lifecycle.features.attributes import AttributeCode
from lifecycle.features.categories import placed_items
from lifecycle.folders import Manifest, read_manifest
from lifecycle.llama.member import BaseModelIdentity
from lifecycle.names import MEMBERS, RERANKER, SEQUENCE_LLAMA, STACK
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.retrieval import Retriever
from lifecycle.recommend.router import Router
from lifecycle.spend.models import SpendModels
from lifecycle.value.costs import CostRate, CostRates
from lifecycle.value.formula import ClvSettings
from lifecycle.value.intervals import Intervals
from lifecycle.value.prospects import ProspectRates
from lifecycle.value.standing import Standings

ARTIFACT_KIND = "artifact"
SETTINGS_FILE = "settings.json"
RANKERS_FOLDER = "rankers"
NEXT_ITEM_MEMBER = "sequence_llama_next_item"  # beside that of the same name, which values
PROSPECT_MODEL = "prospect_rates"  # answers for customers who have not bought yet


class ArtifactManifest(Manifest):
    """The manifest of an artifact: what it was made from and how good it is. Serving computes with Settings."""

    champion: str
    recommender: str | None
    horizon_days: int
    clv: ClvSettings
    costs: dict[str, CostRate]  # as metrics.json has them
    currency: str
    segment_thresholds: SegmentThresholds
    # The day of the customers whose values give the thresholds; artifacts from before have none.
    segments_as_of: str | None = None
    prompt_version: str
    features: tuple[str, ...]
    dataset: str  # identity of the examples
    base_model: BaseModelIdentity | None  # of the text LLaMA
    metrics: dict[str, JsonValue] = {}  # by model, as metrics.json has them
    refitted_at: str | None = None
    season: Season = Season()
    format_version: int = 0  # this one and those below are known when the manifest is written
    packages: dict[str, str] = {}
    files: dict[str, str] = {}


def read_artifact_manifest(artifact: Path) -> ArtifactManifest:
    """The manifest of a complete artifact; its files are not read."""
    return read_manifest(artifact, ARTIFACT_KIND, ArtifactManifest)


@dataclass(frozen=True)
class RerankSettings:
    """LLaMA's part in the order of items."""

    weight: float  # of its score beside the ranker's
    num_candidates: int  # of the ranker's best items, whose titles it reads
    base_model: BaseModelIdentity


@dataclass(frozen=True)
class Settings:
    """What the arena decided and measured, apart from the models themselves."""

    champion: str
    # The model that says who leaves; None: what spreads the champion's total over periods.
    churn: str | None
    recommender: str | None  # None: the shop's data name no items
    horizon_days: int
    currency: str
    data_end: str  # ISO instant of the last event
    usual_gap_days: float  # between order days, for customers with one of them
    clv: ClvSettings
    costs: CostRates
    prospects: ProspectRates | None  # None: everybody the shop knew had bought
    standings: Standings  # what customers did who had cancelled, paused, or paid for a plan
    thresholds: SegmentThresholds
    stages: StageRules
    actions: tuple[ActionRule, ...]
    attributes: tuple[AttributeCode, ...]
    categories: tuple[str, ...]  # the leading ones, in the order of their shares among FEATURES
    intervals: Intervals
    exclude_seen: bool
    money_unit: float = 1.0  # in which prompts count money; artifacts from before have none
    timezone: str = "UTC"  # of the shop's days; artifacts from before have none
    reranking: RerankSettings | None = None  # None: the ranker alone says the order
    # By group of customers, where another serves it better; artifacts from before have none.
    recommender_by_group: dict[str, str] = field(default_factory=dict)

    @property
    def router(self) -> Router | None:
        """Which ranker serves whom; None: there is nothing to recommend."""
        if self.recommender is None:
            return None
        return Router(self.recommender, self.recommender_by_group)

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
    manifest: ArtifactManifest
    settings: Settings
    items: pl.DataFrame
    rankers: Rankers | None  # None: no items to recommend
    models: SpendModels

    @property
    def retriever(self) -> Retriever | None:
        """The catalogue, what is popular in it, and what is bought together."""
        return None if self.rankers is None else self.rankers.retriever

    @property
    def members(self) -> dict[str, Path]:
        """The folders of the LLaMA encoders that the champion is or holds, by name."""
        champion = self.settings.champion
        names = [champion] if champion in MEMBERS else []
        if champion == STACK and self.models.stack is not None:
            names = list(self.models.stack.members)
        return {name: self.folder / "members" / name for name in names}

    @property
    def reranker(self) -> Path | None:
        """The folder of the member that reads titles; None: the base model does, or nobody."""
        folder = self.folder / "members" / RERANKER
        return folder if folder.is_dir() else None

    @property
    def encoder(self) -> Path | None:
        """The folder of the LLaMA over purchases that ranks for some customers; None where none does."""
        router = self.settings.router
        serves = router is not None and SEQUENCE_LLAMA in router.names
        return self.folder / "members" / NEXT_ITEM_MEMBER if serves else None

    @property
    def attributes(self) -> list[str]:
        """The customer attributes that trees read."""
        return [code.name for code in self.settings.attributes]

    @cached_property
    def catalogue(self) -> pl.DataFrame:
        """The items by item_id, in which one is found without looking at all."""
        return self.items.sort("item_id")

    @cached_property
    def placed_items(self) -> pl.DataFrame:
        """The categories of the catalogue's items, as `value_features` reads them."""
        return placed_items(self.items, self.settings.categories)

    @property
    def btyd(self) -> Btyd | None:
        """The model that spreads the champion's total over periods; None: too few customers had bought again."""
        return self.models.spreading(self.settings.champion)

    @property
    def data_end(self) -> datetime:
        """Instant of the last event the artifact was made from."""
        return datetime.fromisoformat(self.settings.data_end)


def check_currency(artifact: Artifact, data: DataManifest) -> None:
    """ValueError where the ingest folder with this manifest counts in another currency than the artifact."""
    made = artifact.settings.currency
    if data.currency != made:
        raise ValueError(
            f"the data are in {data.currency}, but artifact {artifact.folder} was made in {made}"
        )
