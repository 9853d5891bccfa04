"""What the artifact says of the test customers, as metrics.json has it."""

from lifecycle.btyd.season import Season
from lifecycle.config import Config


class SegmentTotals(Config):
    """Sums over the customers of a value segment."""

    num_customers: int
    clv: float
    predicted: float
    actual: float


class Transitions(Config):
    """Where the customers of each stage are `days` later."""

    days: int
    num_customers: dict[str, int]
    shares: dict[str, dict[str, float]]


class AttributeGroup(Config):
    """Error and bias of the customers with one value of an attribute."""

    num_customers: int
    mae: float
    bias: float | None


class Reason(Config):
    """A feature or an event that moved a prediction; `effect` .1 is a tenth more."""

    feature: str
    value: int | float | str | None
    effect: float | None


class ExampleCustomer(Config):
    """One customer from revenue to value."""

    customer_id: str
    segment: str
    stage: str
    next_best_action: str
    revenue: float
    refunds: float
    goods_cost: float
    service_cost: float
    marketing_cost: float
    discounting: float
    clv: float
    features: list[Reason]
    events: list[Reason]


class HiddenGroup(Config):
    """Customers whom the sequence encoder takes for alike, their mean spend, what tells them apart."""

    num_customers: int
    predicted: float
    actual: float
    description: str


class HiddenGroups(Config):
    """Groups, the highest predicted spend first, and how stable they and other numbers of them are."""

    stability: float
    stability_by_number: dict[str, float]
    groups: list[HiddenGroup]


class SegmentWorth(Config):
    """Sums over the customers of a segment or standing: lifetime value, expected spend within the horizon."""

    num_customers: int
    clv: float
    spend: float


class ActionWorth(Config):
    """Sums over the top and high customers with a next best action.

    `at_risk` is value times the probability of buying nothing within the horizon.
    """

    num_customers: int
    clv: float
    at_risk: float


class CustomerToAct(Config):
    """A valuable customer with much to lose."""

    customer_id: str
    clv: float
    churn_probability: float
    at_risk: float
    segment: str
    stage: str
    next_best_action: str


class Worth(Config):
    """What customers are worth as of a day, by what serves, in all and by segment and action; whom to act on first."""

    as_of: str
    num_customers: int
    period_days: int
    num_periods: int
    annual_discount_rate: float  # of those who have none of their own
    clv: float
    spend: float  # expected within the horizon
    segments: dict[str, SegmentWorth]
    actions: dict[str, ActionWorth]
    first: list[CustomerToAct]
    standings: dict[str, SegmentWorth] = {}  # of whom what they said or paid decides, and no model
    season: Season  # that is in these numbers

    @property
    def num_decided(self) -> int:
        """Of how many customers what they said or paid decides."""
        return sum(one.num_customers for one in self.standings.values())


class Customers(Config):
    """What the artifact says of the test customers."""

    segments: dict[str, SegmentTotals]
    stages: dict[str, int]
    transitions: Transitions
    actions: dict[str, int]
    attributes: dict[str, dict[str, AttributeGroup]]
    examples: list[ExampleCustomer]
    groups: HiddenGroups | None


class Revenue(Config):
    """Predicted and actual total, their ratio, and the error per customer."""

    predicted: float
    actual: float
    bias: float | None
    mae: float


class ProfitPart(Config):
    """The same, and the error where the shop's average rate is everybody's."""

    predicted: float
    actual: float
    bias: float | None
    mae: float
    mae_average_rate: float


class Profit(Config):
    """How the horizon went by part of the value; None for costs that the data do not hold."""

    revenue: Revenue
    refunds: ProfitPart | None
    goods_cost: ProfitPart | None
    service_cost: ProfitPart | None
    marketing_cost: ProfitPart | None
    profit: ProfitPart


class ExpectedAndActual(Config):
    """What was expected, and what came."""

    predicted: float
    actual: int | float


class Prospects(Config):
    """Customers who had not bought before the cutoff, and what became of them."""

    num_train_rows: int
    num_customers: int
    buyers: ExpectedAndActual
    spend: ExpectedAndActual
