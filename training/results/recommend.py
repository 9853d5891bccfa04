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
    num_customers: int | None = None


class Reranking(Config):
    """What LLaMA's score of texts brings beside that of a ranker, whose candidates it reads."""

    over: str  # the ranker
    weight: float  # of LLaMA's score; 0: it brings nothing and is off
    why: str
    # By weight on a sample of customers before the test window.
    ndcg_at_20: dict[str, float] = Field(alias="ndcg@20")
    # Over the ranker alone, by group of customers or items: the best weight above 0 on that sample,
    # and on the sample of test customers what was chosen.
    before_test: dict[str, Gain] = {}
    test: dict[str, Gain] = {}
    # Each with the weight that is best for it, on the sample before the test; None: not trained.
    trained_minus_untrained: Gain | None = None


class Recommender(Config):
    """Which cheap ranker is served, and what it was chosen by; None where the data name no items."""

    model: str | None
    rule: str
    ndcg_at_20: dict[str, float] = Field(alias="ndcg@20")
    # By ranker the setting with the best NDCG@20 there; None stands for infinite.
    settings: dict[str, dict[str, float | None]] = {}
    # Of the stack of rankers over the best other one there, on the test customers.
    rank_stack_gain: Gain | None = None
    reranking: Reranking | None = None  # None: not asked for, or no base model
