"""Where a customer stands in its life with the shop.

Stages, the first that applies, by the numbers of StageRules:

| stage | rule |
|---|---|
| lapsed | no order, but a refund |
| acquisition | no order yet |
| lapsed | churn at least 0.5, and cancelled, overdue, paused for over 91 days, or silent for over 2 mean gaps |
| lapsed | silent for over 60 days and over 5 times the mean gap |
| activation | one order |
| conversion | two orders: a buyer became a repeat buyer |
| loyalty | at least 6 orders over at least 180 days, churn at most 0.25, no pause |
| retention | all others: three orders or more |

Churn is the probability of buying nothing within the horizon. p_active would not do: a BTYD model
takes everybody with a single order day for active, of whom 92 % bought nothing on CDNOW. Silence
counts beside churn because a horizon may be shorter than a usual gap, which is that between orders.
Who has paid for a plan or paused it is not silent.
"""

import numpy as np
from pydantic import Field

from lifecycle.config import Config
from lifecycle.features.numbers import RECENT_DAYS
from lifecycle.features.standing import CANCELLED, OVERDUE, PAID, PAUSED

NEW = "acquisition"  # who has not bought yet
STAGES = (NEW, "activation", "conversion", "retention", "loyalty", "lapsed")


class StageRules(Config):
    """The numbers of the module's table, and above which churn a customer is at risk."""

    lapsed_churn: float = Field(0.5, ge=0, le=1)
    lapsed_churn_gaps: float = Field(2.0, ge=0)
    lapsed_gaps: float = Field(5.0, ge=0)
    lapsed_days: float = Field(60.0, ge=0)
    loyal_orders: int = Field(6, ge=1)
    loyal_days: float = Field(180.0, ge=0)
    at_risk_churn: float = Field(0.25, ge=0, le=1)


def stages(
    rules: StageRules,
    *,
    num_orders: np.ndarray,
    recency_days: np.ndarray,
    tenure_days: np.ndarray,
    churn: np.ndarray,
    mean_gap_days: np.ndarray,
    standing: np.ndarray,
    paused_days: np.ndarray,
    has_left: np.ndarray,
) -> np.ndarray:
    """The stage of each customer, strings of shape (n,), by the module's table; all arrays have shape (n,).

    `recency_days` is the time since the last order and `tenure_days` since the first.
    `mean_gap_days` is between a customer's own orders, the shop's median for customers with fewer
    than two. `standing` is that of `features.standing`, `paused_days` NaN of who is not paused; `has_left` marks
    who is known by a refund alone.
    """
    is_paused = standing == PAUSED
    may_be_silent = is_paused | (standing == PAID)
    is_long = recency_days > np.maximum(rules.lapsed_days, rules.lapsed_gaps * mean_gap_days)
    is_late = recency_days > rules.lapsed_churn_gaps * mean_gap_days
    stays_away = (standing == CANCELLED) | (standing == OVERDUE) | (paused_days > RECENT_DAYS)
    has_stopped = stays_away | (is_late & ~may_be_silent)
    is_gone = (churn >= rules.lapsed_churn) & has_stopped
    lapsed = np.where(num_orders == 0, has_left, is_gone | (is_long & ~may_be_silent))
    keeps_buying = (num_orders >= rules.loyal_orders) & (tenure_days >= rules.loyal_days)
    found = {
        "lapsed": lapsed,
        NEW: num_orders == 0,
        "activation": num_orders == 1,
        "conversion": num_orders == 2,
        "loyalty": keeps_buying & (churn <= rules.at_risk_churn) & ~is_paused,
    }
    return np.select(list(found.values()), list(found), default="retention")


def transitions(before: np.ndarray, after: np.ndarray) -> dict[str, dict[str, float]]:
    """By stage, the share of its customers found in each stage later; both (n,) of the same customers in order.

    Maximum likelihood for a Markov chain of one step; a stage where nobody was is left out.
    """
    return {
        stage: {name: float((after[was_there] == name).mean()) for name in STAGES}
        for stage in STAGES
        if (was_there := before == stage).any()
    }
