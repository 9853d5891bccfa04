"""What moved a prediction: SHAP contributions of trees (Lundberg et al. 2020), by feature and by driver.

Contributions are those to the logarithm of expected spend. A driver is a group of features that
mean much the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from lightgbm import Booster

from lifecycle.features.drivers import DRIVER_NAMES, DRIVERS, driver_of

NUM_REASONS = 3  # features that an answer names
Reason = dict[str, str | float | None]  # feature, value, effect


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to the logarithm of each customer's expected spend, (n, k), with the k values read."""

    names: tuple[str, ...]
    inputs: np.ndarray
    effects: np.ndarray

    def top(self, row: int, count: int = NUM_REASONS) -> list[Reason]:
        """The features that moved a customer's prediction most: feature, value, effect (0.1: a tenth more)."""
        order = np.argsort(-np.abs(self.effects[row]), kind="stable")[:count]
        return [
            {
                "feature": self.names[index],
                "value": None
                if np.isnan(self.inputs[row, index])
                else float(self.inputs[row, index]),
                "effect": float(np.expm1(self.effects[row, index])),
            }
            for index in order
        ]

    def drivers(self) -> np.ndarray:
        """The driver that moved each prediction most, and which way, one of DRIVER_NAMES, strings (n,)."""
        of_features = np.array([driver_of(name) for name in self.names])
        sums = np.column_stack(
            [self.effects[:, of_features == name].sum(axis=1) for name in DRIVERS]
        )
        strongest = np.argmax(np.abs(sums), axis=1)
        is_down = sums[np.arange(len(sums)), strongest] < 0
        found: np.ndarray = np.array(DRIVER_NAMES)[2 * strongest + is_down]
        return found


def facts(examples: pl.DataFrame, names: Sequence[str]) -> list[list[Reason]]:
    """What is known of each customer, where the model does not say what moved its prediction."""
    return [
        [
            {"feature": name, "value": row[name], "effect": None}
            for name in names
            if row[name] is not None
        ]
        for row in examples.select(names).iter_rows(named=True)
    ]


def shap_values(trees: Booster, inputs: np.ndarray) -> np.ndarray:
    """What each of the k inputs of trees (n, k) adds to their score, shape (n, k)."""
    return np.asarray(trees.predict(inputs, pred_contrib=True, num_threads=1))[:, :-1]
