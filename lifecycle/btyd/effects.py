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
# (16, 4): which numbers are the customer's own.
OWN = np.array(list(product((False, True), repeat=len(BTYD_INPUTS))))


def btyd_effects(model: Btyd, examples: pl.DataFrame, horizon_days: float) -> np.ndarray:
    """What each of BTYD_INPUTS adds to the logarithm of the expected spend over the horizon, shape (n, 4).

    They add up to the logarithm for the customer minus its mean for the model's typical customers.
    """
    numbers = btyd_numbers(examples)
    effects = np.zeros((examples.height, len(BTYD_INPUTS)))
    least = least_spend(model, horizon_days)
    for typical in np.array(model.typical):
        mixed = np.where(OWN[:, None, :], numbers, typical).reshape(-1, len(BTYD_INPUTS))
        spend = np.maximum(spend_of_numbers(model, mixed, horizon_days), least).reshape(
            len(OWN), -1
        )
        for weights, score in zip(
            _weights(), np.log(spend), strict=True
        ):  # a product of matrices rounds by its shape
            effects += score[:, None] * weights
    return effects / len(model.typical)


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
