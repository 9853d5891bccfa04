"""How rankers did, as metrics.json says it."""

from pydantic import Field

from lifecycle.config import Config
from training.results.value import Interval


class RankMetrics(Config):
    """How well a ranker did on a group of customers; None where there are none, or it was not asked for."""

    hr_at_10: float | None = Field(alias="hr@10")
    hr_at_20: float | None = Field(None, alias="hr@20")
    recall_at_10: float | None = Field(None, alias="recall@10")
    ndcg_at_10: float | None = Field(alias="ndcg@10")
    recall_at_20: float | None = Field(alias="recall@20")
    ndcg_at_20: float | None = Field(alias="ndcg@20")
    coverage: float | None
    novelty: float | None = None  # bits
    diversity: float | None = None  # within a list, by category
    repeat_share: float | None = None  # of lists, bought before
    true_repeat_share: float | None = None  # of what customers went on to buy
    outside_catalogue: float | None = None  # share of lists
    num_customers: int
    ci: dict[str, Interval | None] = {}  # 95 % over customers


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


class Recall(Config):
    """A recall, and its 95 % interval over customers; None where the ranker had nobody of the group."""

    value: float | None
    interval: Interval | None


class RecallBy(Config):
    """Recall@20 of each ranker by groups of customers or items, in their order."""

    groups: list[str]
    counted: list[int]  # customers or items of each group
    models: dict[str, list[Recall]]


class MarginPoint(Config):
    """Lists in which a margin counts so much, and their 95 % intervals over customers."""

    weight: float  # of the margin: 0 orders by score alone, 1 by score times margin
    hr_at_10: float = Field(alias="hr@10")
    margin_at_10: float = Field(alias="margin@10")  # of what a customer went on to buy of ten items
    ci: dict[str, Interval | None]


class MarginCurve(Config):
    """What lists earn against how often they hit, as the weight of the margin goes from 0 to 1."""

    model: str  # whose scores are weighed
    source: str  # of the items' margins: catalogue, or costs of the lines before the cutoff
    known_margins: float  # share of the items bought before the cutoff
    num_candidates: int  # of each customer, that are put in order
    num_customers: int
    points: list[MarginPoint]


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
    reranking: Reranking | None = None  # None: not asked for, or no base model
    # By the customers' orders before, and by how many customers had bought what they went on to buy.
    recall_by_orders: RecallBy | None = None
    recall_by_buyers: RecallBy | None = None
    margin_curve: MarginCurve | None = None  # None where no margin is known
