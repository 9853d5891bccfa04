"""The recipe of the arena: what `training.evaluate` reads."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from lifecycle.config import Config
from lifecycle.decisions.stages import StageRules
from lifecycle.names import MEMBERS, RANKERS, RANKING_MEMBERS, RERANKER, VALUE_MODELS
from lifecycle.value.costs import CostDefaults
from lifecycle.value.formula import ClvSettings
from lifecycle.value.standing import ReturnDefaults

SHIPPED = Path(__file__).parents[1] / "configs"


class EvaluateConfig(Config):
    """Recipe of `python -m training.evaluate`."""

    data: Path
    examples: Path
    members: dict[str, Path] = {}
    backtest_members: dict[str, Path] = {}  # the same encoders, trained on <examples>/backtest
    ranking_members: dict[str, Path] = {}  # of tasks next_item and rerank
    models: tuple[str, ...] = (*VALUE_MODELS, *RANKERS, RERANKER)
    clv: ClvSettings = ClvSettings()
    stages: StageRules = StageRules()
    # The table of next best actions: a file, or one that is shipped.
    actions: Path = SHIPPED / "actions.csv"
    costs: CostDefaults = CostDefaults()  # where the data hold no such cost
    # Where the data tell of no customer who had cancelled, paused or left a payment out.
    returns: ReturnDefaults = ReturnDefaults()
    # Seeded samples that LLaMA re-ranks for: before the test window, and in it where that brings something.
    rerank_customers: int = Field(200, ge=1)
    num_candidates: int = Field(30, ge=20)  # of each that it reads
    exclude_seen: bool = False
    # Once judged, the cheap models are fitted again, to the test customers' outcomes too.
    refit: bool = False
    base_model: str | None = None  # that re-ranks; None: the member's
    attention: str = "eager"
    # Seeded sample for the untrained comparison; 0 leaves it out.
    untrained_customers: int = Field(200, ge=0)
    # Training rows of the linear probes on the untrained model.
    probe_rows: int = Field(1000, ge=20)
    # Slower models cannot become champion.
    score_budget_customers_per_second: float | None = Field(None, gt=0)
    num_resamples: int = Field(300, ge=20)
    num_workers: int = Field(2, ge=1)
    seed: int = 0
    report_html: bool = True
    output: Path

    @field_validator("actions")
    @classmethod
    def _may_be_shipped(cls, table: Path) -> Path:
        return table if table.exists() or not (SHIPPED / table).exists() else SHIPPED / table

    @field_validator("models")
    @classmethod
    def _models_exist(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        known = (*VALUE_MODELS, *RANKERS, RERANKER)
        for name in models:
            if name not in known:
                raise ValueError(f"there is no model {name!r}; models are {', '.join(known)}")
        return models

    @field_validator("members", "backtest_members")
    @classmethod
    def _members_exist(cls, members: dict[str, Path]) -> dict[str, Path]:
        for name in members:
            if name not in MEMBERS:
                raise ValueError(f"there is no member {name!r}; members are {', '.join(MEMBERS)}")
        return members

    @field_validator("ranking_members")
    @classmethod
    def _ranking_members_exist(cls, members: dict[str, Path]) -> dict[str, Path]:
        for name in members:
            if name not in RANKING_MEMBERS:
                known = ", ".join(RANKING_MEMBERS)
                raise ValueError(f"there is no member {name!r} that ranks; they are {known}")
        return members

    @model_validator(mode="after")
    def _backtest_members_are_members(self) -> "EvaluateConfig":
        for name in self.backtest_members:
            if name not in self.members:
                raise ValueError(f"backtest_members has {name!r}, but members has not")
        return self
