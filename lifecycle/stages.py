"""Where a customer stands in its life with the shop, and the next best action there.

Stages, the first that applies:

| stage | rule |
|---|---|
| acquisition | no order yet |
| lapsed | p_active below 0.5, or silent for over 60 days and over 5 times the mean gap between orders |
| activation | one order |
| conversion | two orders: a buyer became a repeat buyer |
| loyalty | at least 6 orders over at least 180 days, p_active at least 0.8 |
| retention | all others: three orders or more |

Silence counts beside p_active because a BTYD model takes everybody with a single order day for active.

Actions, by stage and segment; a customer is at risk where p_active is below 0.75:

| stage | top, high | middle | low |
|---|---|---|---|
| acquisition | first_order_offer | welcome_message | welcome_message |
| activation | second_order_offer | second_order_offer | onboarding_message |
| conversion | cross_sell | cross_sell | replenishment_reminder |
| retention | cross_sell | replenishment_reminder | replenishment_reminder |
| retention, at risk | personal_outreach | save_offer | replenishment_reminder |
| loyalty | early_access | loyalty_reward | referral_request |
| lapsed | personal_outreach | win_back_offer | no_action |
"""

import numpy as np

STAGES = ("acquisition", "activation", "conversion", "retention", "loyalty", "lapsed")
ACTIONS = (
    "first_order_offer", "welcome_message", "second_order_offer", "onboarding_message", "cross_sell",
    "replenishment_reminder", "save_offer", "personal_outreach", "early_access", "loyalty_reward",
    "referral_request", "win_back_offer", "no_action",
)  # fmt: skip
LAPSED_P_ACTIVE = 0.5
LAPSED_GAPS, LAPSED_DAYS = 5.0, 60.0
LOYAL_ORDERS, LOYAL_DAYS, LOYAL_P_ACTIVE = 6, 180.0, 0.8
AT_RISK_P_ACTIVE = 0.75

# Stage to actions by segment group: top and high, middle, low. The module's table in code.
ACTION_TABLE = {
    "acquisition": ("first_order_offer", "welcome_message", "welcome_message"),
    "activation": ("second_order_offer", "second_order_offer", "onboarding_message"),
    "conversion": ("cross_sell", "cross_sell", "replenishment_reminder"),
    "retention": ("cross_sell", "replenishment_reminder", "replenishment_reminder"),
    "retention_at_risk": ("personal_outreach", "save_offer", "replenishment_reminder"),
    "loyalty": ("early_access", "loyalty_reward", "referral_request"),
    "lapsed": ("personal_outreach", "win_back_offer", "no_action"),
}
SEGMENT_COLUMNS = {"top": 0, "high": 0, "middle": 1, "low": 2}


def stages(
    *,
    num_orders: np.ndarray,
    recency_days: np.ndarray,
    tenure_days: np.ndarray,
    p_active: np.ndarray,
    mean_gap_days: np.ndarray,
) -> np.ndarray:
    """The stage of each customer, strings of shape (n,), by the module's table; all arguments have shape (n,).

    `recency_days` is the time since the last order and `tenure_days` since the first. `mean_gap_days` is between a
    customer's own orders, the shop's median for customers with fewer than two.
    """
    silent = (recency_days > LAPSED_DAYS) & (recency_days > LAPSED_GAPS * mean_gap_days)
    loyal = (num_orders >= LOYAL_ORDERS) & (tenure_days >= LOYAL_DAYS) & (p_active >= LOYAL_P_ACTIVE)
    rules = {
        "acquisition": num_orders == 0,
        "lapsed": (p_active < LAPSED_P_ACTIVE) | silent,
        "activation": num_orders == 1,
        "conversion": num_orders == 2,
        "loyalty": loyal,
    }
    return np.select(list(rules.values()), list(rules), default="retention")


def next_best_action(stage: np.ndarray, segment: np.ndarray, p_active: np.ndarray) -> np.ndarray:
    """The action code of each customer, one of ACTIONS, strings of shape (n,), by the module's table.

    Raises ValueError for a stage or segment that does not exist.
    """
    _check_known("stage", stage, STAGES)
    _check_known("segment", segment, tuple(SEGMENT_COLUMNS))
    at_risk = (np.asarray(stage) == "retention") & (np.asarray(p_active) < AT_RISK_P_ACTIVE)
    rows = np.where(at_risk, "retention_at_risk", stage)
    return np.array(
        [ACTION_TABLE[str(row)][SEGMENT_COLUMNS[str(name)]] for row, name in zip(rows, segment, strict=True)]
    )


def _check_known(name: str, values: np.ndarray, known: tuple[str, ...]) -> None:
    unknown = sorted({str(value) for value in np.unique(values)} - set(known))
    if unknown:
        raise ValueError(f"{name} is {unknown[0]!r}; it must be one of {', '.join(known)}")
