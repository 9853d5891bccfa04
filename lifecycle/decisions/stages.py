"""Where a customer stands in its life with the shop.

Stages, the first that applies, by the numbers of StageRules:

| stage | rule | |---|---| | acquisition | no order yet | | lapsed | p_active below 0.5, or silent
for over 60 days and over 5 times the mean gap between orders | | activation | one order | |
conversion | two orders: a buyer became a repeat buyer | | loyalty | at least 6 orders over at least
180 days, p_active at least 0.8 | | retention | all others: three orders or more |

Silence counts beside p_active because a BTYD model takes everybody with a single order day for
active.
"""

import numpy as np
from pydantic import Field

from lifecycle.config import Config

STAGES = ("acquisition", "activation", "conversion", "retention", "loyalty", "lapsed")


class StageRules(Config):
    """The numbers of the module's table, and below which p_active a customer is at risk."""

    lapsed_p_active: float = Field(0.5, ge=0, le=1)
    lapsed_gaps: float = Field(5.0, ge=0)
    lapsed_days: float = Field(60.0, ge=0)
    loyal_orders: int = Field(6, ge=1)
    loyal_days: float = Field(180.0, ge=0)
    loyal_p_active: float = Field(0.8, ge=0, le=1)
    at_risk_p_active: float = Field(0.75, ge=0, le=1)


def stages(
    rules: StageRules,
    *,
    num_orders: np.ndarray,
    recency_days: np.ndarray,
    tenure_days: np.ndarray,
    p_active: np.ndarray,
    mean_gap_days: np.ndarray,
) -> np.ndarray:
    """The stage of each customer, strings of shape (n,), by the module's table; all arrays have shape (n,).

    `recency_days` is the time since the last order and `tenure_days` since the first.
    `mean_gap_days` is between a customer's own orders, the shop's median for customers with fewer
    than two.
    """
    silent = (recency_days > rules.lapsed_days) & (recency_days > rules.lapsed_gaps * mean_gap_days)
    keeps_buying = (num_orders >= rules.loyal_orders) & (tenure_days >= rules.loyal_days)
    found = {
        "acquisition": num_orders == 0,
        "lapsed": (p_active < rules.lapsed_p_active) | silent,
        "activation": num_orders == 1,
        "conversion": num_orders == 2,
        "loyalty": keeps_buying & (p_active >= rules.loyal_p_active),
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
