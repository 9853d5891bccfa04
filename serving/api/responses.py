"""What goes out over HTTP, as documented under /docs. Answers come from the predictor in this form."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from serving.predict.problems import Problem

# Header of every answer, by Serve; a proxy before it has none in a 500 of its own.
REQUEST_ID = "X-Request-ID"


class Period(BaseModel):
    """Expected money of one period of a customer's future."""

    t: int
    revenue: float
    cost: float
    discounted: float
    extrapolated: bool


class Effect(BaseModel):
    """A feature or an event of the customer and by what share it moves the prediction, where the model tells."""

    feature: str
    value: float | None
    effect: float | None


class CustomerValue(BaseModel):
    """The answer of POST /v1/value for one customer."""

    model_config = ConfigDict(extra="forbid")

    customer_id: str | None
    clv: float
    low_80: float
    high_80: float
    low_95: float
    high_95: float
    revenue: float
    refunds: float
    goods_cost: float
    service_cost: float
    marketing_cost: float
    discounting: float
    expected_orders: float
    expected_order_value: float
    annual_discount_rate: float
    periods: list[Period]
    p_active: float = Field(
        description="probability of not having left for good; somebody may be active and buy seldom"
    )
    churn_probability: float = Field(
        description="probability of buying nothing within the trained horizon, or of not renewing a plan when "
        "its next payment is due; stage and next_best_action go by it"
    )
    segment: str
    stage: str
    next_best_action: str
    explanation: list[Effect]
    model: str
    currency: str
    as_of: str


class ValueResponse(BaseModel):
    """Answers in the order of the customers asked about."""

    customers: list[CustomerValue]


class TimelineEvent(BaseModel):
    """An event of a customer; fields that it does not have are left out."""

    model_config = ConfigDict(extra="allow")

    event_id: str
    occurred_at: str
    kind: str


class CustomerProfile(BaseModel):
    """The answer of GET /v1/customers/{id}."""

    model_config = ConfigDict(extra="forbid")

    customer_id: str
    as_of: str
    currency: str
    attributes: dict[str, JsonValue]
    segment: str
    stage: str
    next_best_action: str
    historic_clv: float = Field(
        description="purchases, renewals and refunds until now, minus the costs that events record"
    )
    predicted_clv: float = Field(description="clv of `value`")
    total_clv: float = Field(description="historic_clv + predicted_clv")
    historic_number_of_orders: int
    predicted_number_of_orders: float
    average_days_between_orders: float | None
    average_order_value: float | None
    churn_probability: float
    expected_date_of_next_order: str | None = Field(
        description="when the orders expected come to one; null where they do not within all periods"
    )
    value: CustomerValue
    num_events: int
    timeline: list[TimelineEvent] = Field(description="the latest events, newest first")


class ListedCustomer(BaseModel):
    """A customer on a page of GET /v1/customers, as of the state."""

    customer_id: str
    as_of: str
    clv: float
    clv_low_80: float
    clv_high_80: float
    expected_orders: float
    churn_probability: float
    segment: str
    stage: str
    next_best_action: str
    changed_since: bool = Field(description="there are events that the state does not contain yet")


class CustomerPage(BaseModel):
    """The answer of GET /v1/customers: by clv, highest first."""

    customers: list[ListedCustomer] = Field(
        description="fewer than `limit` where customers were erased since"
    )
    next_cursor: str | None = Field(description="null on the last page")
    num_unlisted: int = Field(
        description="customers who came after the state was made: no page lists them, their ids are known to "
        "GET /v1/customers/{id}"
    )


class Recommendation(BaseModel):
    """One item of the catalogue."""

    item_id: str
    title: str | None
    score: float
    reason: str


class CustomerRecommendations(BaseModel):
    """The answer of POST /v1/recommendations for one customer, best item first."""

    model_config = ConfigDict(extra="forbid")

    customer_id: str | None
    recommendations: list[Recommendation]
    model: str
    group: str
    as_of: str


class RecommendationResponse(BaseModel):
    """Answers in the order of the customers asked about."""

    customers: list[CustomerRecommendations]


class SimilarResponse(BaseModel):
    """The answer of POST /v1/items/{id}/similar, the most similar item first."""

    model_config = ConfigDict(extra="forbid")

    item_id: str
    similar: list[Recommendation]


class EventsResponse(BaseModel):
    """What became of the events: all but the refused are on disk, and count once."""

    accepted: int = Field(description="new to the log")
    duplicates: int = Field(description="sent before with the same event_id and content")
    refused: int = Field(description="of erased customers; not written")

    def plus(self, other: Self) -> Self:
        """The sums of both."""
        return type(self)(
            accepted=self.accepted + other.accepted,
            duplicates=self.duplicates + other.duplicates,
            refused=self.refused + other.refused,
        )


class ErrorResponse(BaseModel):
    """Every error: a sentence, and for status 422 one entry per field."""

    detail: str | list[Problem]
