"""The artifact: all that serving and scoring need, in one immutable folder."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from lightgbm import Booster
from pydantic import TypeAdapter

from lifecycle.actions import ActionRule
from lifecycle.attributes import AttributeCode
from lifecycle.categories import placed_items
from lifecycle.features import FEATURES
from lifecycle.folders import verify
from lifecycle.member import MEMBERS, read_member
from lifecycle.prompts import PROMPT_VERSION
from lifecycle.recommend.retrieval import Retriever, load_retriever
from lifecycle.segments import SegmentThresholds
from lifecycle.stages import StageRules
from lifecycle.value import ZILN
from lifecycle.value.baselines import (
    BTYD_FILE,
    LIGHTGBM_FILE,
    Btyd,
    load_btyd,
    spreading_btyd,
)
from lifecycle.value.costs import CostRates
from lifecycle.value.formula import ClvSettings
from lifecycle.value.hurdle import BOUGHT_FILE, Hurdle, load_hurdle
from lifecycle.value.intervals import Intervals
from lifecycle.value.prospects import ProspectRates
from lifecycle.value.stack import (
    STACK,
    STACK_FILE,
    STACK_WITHOUT_LLAMA,
    Stack,
    load_stack,
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
    categories: tuple[str, ...]  # the leading ones, in the order of their shares among FEATURES
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
    ziln: "DenseZiln | None"  # loaded where the champion is or holds it: it brings torch
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

    @cached_property
    def placed_items(self) -> pl.DataFrame:
        """The categories of the catalogue's items, as `value_features` reads them."""
        return placed_items(self.items, self.settings.categories)

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
    stack = load_stack(folder, btyd_models) if (folder / STACK_FILE).exists() else None
    reads_ziln = settings.champion == ZILN or (
        settings.champion in (STACK, STACK_WITHOUT_LLAMA) and stack is not None and ZILN in stack.others
    )
    artifact = Artifact(
        folder=folder,
        manifest=manifest,
        settings=settings,
        items=pl.read_parquet(folder / "items.parquet"),
        retriever=load_retriever(folder / RETRIEVER_FOLDER) if (folder / RETRIEVER_FOLDER).exists() else None,
        btyd_models=btyd_models,
        lightgbm=Booster(model_file=folder / LIGHTGBM_FILE) if (folder / LIGHTGBM_FILE).exists() else None,
        hurdle=load_hurdle(folder) if (folder / BOUGHT_FILE).exists() else None,
        ziln=_load_ziln(folder) if reads_ziln else None,
        stack=stack,
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
