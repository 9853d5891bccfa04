"""How rankers did, as metrics.json says it."""

from pydantic import Field

from lifecycle.config import Config


class RankMetrics(Config):
    """How well a ranker did on a group of customers; None where there are none."""

    hr_at_10: float | None = Field(alias="hr@10")
    ndcg_at_10: float | None = Field(alias="ndcg@10")
    recall_at_20: float | None = Field(alias="recall@20")
    ndcg_at_20: float | None = Field(alias="ndcg@20")
    coverage: float | None
    num_customers: int


class Gain(Config):
    """A ranker minus another on the same customers, with the ends of paired 90 % intervals."""

    over: str  # the other's name
    recall_at_20: tuple[float, float, float] = Field(alias="recall@20")
    ndcg_at_20: tuple[float, float, float] = Field(alias="ndcg@20")


class GroupChoice(Config):
    """Which ranker serves a group of customers, and what it was chosen by before the test window."""

    model: str
    best: str  # the ranker of highest NDCG@20 there
    num_customers: int
    ndcg_at_20: dict[str, float] = Field({}, alias="ndcg@20")
    # Of the best one over that of everybody; None where they are the same, or customers are few.
    gain: Gain | None = None


class Recommender(Config):
    """Which cheap ranker is served, and what it was chosen by; None where the data name no items."""

    model: str | None
    rule: str
    # By group of customers; `newcomers` are those without a purchase.
    router: dict[str, GroupChoice] = {}
    ndcg_at_20: dict[str, float] = Field(alias="ndcg@20")
    # By ranker the setting with the best NDCG@20 there; None stands for infinite.
    settings: dict[str, dict[str, float | None]] = {}
    # Of the stack of rankers over the best other one there, on the test customers.
    rank_stack_gain: Gain | None = None
