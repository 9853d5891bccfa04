"""A convex blend of one model with others: how much of each, learned from customers whose outcome none of them knew."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import mean_tweedie_deviance

from lifecycle.spend.trees import LIGHTGBM_PARAMETERS

POWER = LIGHTGBM_PARAMETERS["tweedie_variance_power"]  # judged as the trees are fitted
# Shares learned from so few count half: their error is then as large as what they gain.
PRIOR_CUSTOMERS = 100
LEAST_SHARE = 0.02  # less moves nobody's value, and need not be computed
# Of the mean: the deviance of a prediction of 0 is infinite where somebody spent.
LEAST_SPEND = 1e-3
CLEAR = 1.645  # standard errors: one side of a 90 % interval


def fit_shares(
    base: np.ndarray, others: Mapping[str, np.ndarray], actual: np.ndarray
) -> dict[str, float]:
    """The share of each of `others` in the blend of least Tweedie deviance, by name; what is left is that of `base`.

    All are expected spend of the same customers, shape (n,). Shares are at least 0 and sum to at
    most 1; those below LEAST_SHARE are 0. Where nobody spent anything there is nothing to learn,
    and `base` has it all.
    """
    if not others or not actual.sum() > 0:
        return dict.fromkeys(others, 0.0)
    least = LEAST_SPEND * float(np.mean(actual))

    def deviance(shares: np.ndarray) -> float:
        blended = blend(base, others, dict(zip(others, shares, strict=True)))
        return float(mean_tweedie_deviance(actual, np.maximum(blended, least), power=POWER))

    start = np.full(len(others), 0.5 / len(others))
    unit = deviance(start)
    found = minimize(
        lambda shares: deviance(shares) / unit,
        start,
        bounds=[(0.0, 1.0)] * len(others),
        constraints={"type": "ineq", "fun": lambda shares: 1.0 - shares.sum()},
        method="SLSQP",
    )
    trust = len(actual) / (len(actual) + PRIOR_CUSTOMERS)
    shares = np.clip(found.x, 0.0, 1.0) / max(1.0, found.x.sum()) * trust
    return {
        name: float(share) if share >= LEAST_SHARE else 0.0
        for name, share in zip(others, shares, strict=True)
    }


def blend(
    base: np.ndarray, others: Mapping[str, np.ndarray], shares: Mapping[str, float]
) -> np.ndarray:
    """The blend with these shares, shape (n,)."""
    parts = [share * others[name] for name, share in shares.items()]
    return np.sum([(1.0 - sum(shares.values())) * base, *parts], axis=0)  # type: ignore[no-any-return]


def is_clearly_better(
    ours: np.ndarray, theirs: np.ndarray, actual: np.ndarray, times: float = 1.0
) -> bool:
    """Whether so many times our squared errors of the same customers, (n,), are less than theirs by more than chance.

    That is with 90 % confidence.
    """
    gain = (theirs - actual) ** 2 - times * (ours - actual) ** 2
    return len(gain) > 1 and bool(gain.mean() > CLEAR * gain.std() / np.sqrt(len(gain)))
