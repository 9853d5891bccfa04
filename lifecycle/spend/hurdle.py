"""The hurdle: whether a customer spends anything over the horizon, times how much those spend who do (Cragg 1971)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from lightgbm import Booster, Dataset, train

from lifecycle.spend.contributions import Contributions, shap_values
from lifecycle.spend.model import Past
from lifecycle.spend.trees import LIGHTGBM_PARAMETERS, NUM_TREES, feature_matrix, inputs_of

BOUGHT_FILE = "hurdle-bought.txt"
SPEND_FILE = "hurdle-spend.txt"


@dataclass(frozen=True)
class Hurdle:
    """Trees for the probability of spending anything, and for the spend of those who do."""

    bought: Booster
    spend: Booster

    @classmethod
    def fit(cls, past: Past, *, seed: int) -> Self:
        """Boosted trees on rows of several cutoffs, of which somebody must spend something.

        Amounts are gamma distributed around their mean, which keeps the total right however long
        their tail is.
        """
        inputs = feature_matrix(past.train)
        target = past.train["target"].to_numpy()
        spent = target > 0
        bought = _fit("binary", inputs, spent.astype(float), seed)
        return cls(bought, _fit("gamma", inputs[spent], target[spent], seed))

    def expected_spend(self, rows: pl.DataFrame) -> np.ndarray:
        """Expected spend over the horizon, shape (n,)."""
        inputs = feature_matrix(rows)
        expected: np.ndarray = _predicted(self.bought, inputs) * _predicted(self.spend, inputs)
        return expected

    def no_purchase(self, rows: pl.DataFrame) -> np.ndarray:
        """Probability of spending nothing within the horizon, shape (n,)."""
        return 1.0 - _predicted(self.bought, feature_matrix(rows))

    def contributions(self, rows: pl.DataFrame) -> Contributions:
        """SHAP values of both kinds of trees; the slope of log p in a logistic model's score is 1 - p."""
        inputs = feature_matrix(rows)
        slope = self.no_purchase(rows)[:, None]
        effects = slope * shap_values(self.bought, inputs) + shap_values(self.spend, inputs)
        return Contributions(inputs_of(rows), inputs, effects)

    def save(self, folder: Path) -> None:
        """Write both kinds of trees as LightGBM's text."""
        self.bought.save_model(folder / BOUGHT_FILE)
        self.spend.save_model(folder / SPEND_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where it is not there."""
        if not (folder / BOUGHT_FILE).exists():
            return None
        bought = Booster(model_file=folder / BOUGHT_FILE)
        return cls(bought, Booster(model_file=folder / SPEND_FILE))


def _predicted(trees: Booster, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(trees.predict(inputs, num_threads=1))


def _fit(objective: str, inputs: np.ndarray, target: np.ndarray, seed: int) -> Booster:
    parameters = LIGHTGBM_PARAMETERS | {"objective": objective, "seed": seed}
    del parameters["tweedie_variance_power"]
    return train(parameters, Dataset(inputs, target), NUM_TREES)
