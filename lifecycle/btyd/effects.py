"""What moved the spend that a BTYD model expects: Shapley values (Lundberg and Lee 2017) of all that it reads.

They are exact, over all sixteen ways to give a customer some of its own numbers and the others of a
typical customer, and the mean over the typical customers of the model.
"""

from itertools import product
from math import factorial

import numpy as np
import polars as pl

from lifecycle.btyd.model import Btyd, btyd_numbers, spend_of_numbers

# As FEATURES calls them.
BTYD_INPUTS = (
    "btyd_frequency",
    "recency_days",
    "btyd_age",
    "mean_order_value",
)
LEAST_SHARE = 1e-3  # of what typical customers spend on average; less moves nobody, but its logarithm without end
AT_ONCE = 1000  # customers, with sixteen rows each for every typical one
# (16, 4): which numbers are the customer's own.
OWN = np.array(list(product((False, True), repeat=len(BTYD_INPUTS))))


def btyd_effects(model: Btyd, examples: pl.DataFrame, horizon_days: float) -> np.ndarray:
    """What each of BTYD_INPUTS adds to the logarithm of the expected spend over the horizon, shape (n, 4).

    They add up to the logarithm for the customer minus its mean for the model's typical customers.
    """
    numbers = btyd_numbers(examples)
    least = least_spend(model, horizon_days)
    parts = [
        _effects(model, numbers[start : start + AT_ONCE], least, horizon_days)
        for start in range(0, examples.height, AT_ONCE)
    ]
    return np.vstack([np.empty((0, len(BTYD_INPUTS))), *parts])


def _effects(model: Btyd, numbers: np.ndarray, least: float, horizon_days: float) -> np.ndarray:
    """Of some customers, from their `btyd_numbers` (n, 4)."""
    typical = np.array(model.typical)[:, None, None, :]
    mixed = np.where(OWN[:, None, :], numbers, typical)  # (typical, 16, n, 4)
    spend = spend_of_numbers(model, mixed.reshape(-1, len(BTYD_INPUTS)), horizon_days)
    scores = np.log(np.maximum(spend, least)).reshape(mixed.shape[:3])
    # A product of matrices rounds by its shape, a sum over the first axis does not.
    terms = scores.reshape(-1, len(numbers), 1) * np.tile(_weights(), (len(typical), 1))[:, None, :]
    effects: np.ndarray = terms.sum(axis=0) / len(typical)
    return effects


def least_spend(model: Btyd, horizon_days: float) -> float:
    """What effects take the spend of customers who will hardly spend anything."""
    return LEAST_SHARE * float(
        spend_of_numbers(model, np.array(model.typical), horizon_days).mean()
    )


def _weights() -> np.ndarray:
    """What the Shapley value of each number takes of the prediction of each row of OWN, (16, 4)."""
    count = len(BTYD_INPUTS)
    others = OWN.sum(axis=1)[:, None] - OWN  # own numbers beside the one
    share = np.array(
        [factorial(k) * factorial(count - k - 1) / factorial(count) for k in range(count)]
    )
    weights: np.ndarray = np.where(
        OWN, share[np.minimum(others, count - 1)], -share[np.minimum(others, count - 1)]
    )
    return weights
