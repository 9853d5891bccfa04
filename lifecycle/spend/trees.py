"""LightGBM's trees on features and attributes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from lightgbm import Booster, Dataset, train

from lifecycle.features.attributes import PREFIX
from lifecycle.features.numbers import FEATURES
from lifecycle.spend.contributions import Contributions, shap_values
from lifecycle.spend.model import Past

LIGHTGBM_FILE = "lightgbm.txt"
LIGHTGBM_PARAMETERS = {
    "objective": "tweedie",
    "tweedie_variance_power": 1.3,
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
NUM_TREES = 250


@dataclass(frozen=True)
class LightGbm:
    """Gradient-boosted trees with Tweedie loss on features and attributes."""

    trees: Booster

    @classmethod
    def fit(cls, past: Past, *, seed: int) -> Self:
        """Trees on rows of several cutoffs; the loss has no minimum where nobody spends anything."""
        data = Dataset(feature_matrix(past.train), past.train["target"].to_numpy())
        return cls(train(LIGHTGBM_PARAMETERS | {"seed": seed}, data, NUM_TREES))

    def expected_spend(self, rows: pl.DataFrame) -> np.ndarray:
        """Expected spend over the horizon, shape (n,)."""
        return np.asarray(self.trees.predict(feature_matrix(rows), num_threads=1), dtype=float)

    def no_purchase(self, rows: pl.DataFrame) -> None:
        """Trees say how much is spent, not whether anything is."""

    def contributions(self, rows: pl.DataFrame) -> Contributions:
        """SHAP values of the trees, whose score is a logarithm."""
        inputs = feature_matrix(rows)
        return Contributions(inputs_of(rows), inputs, shap_values(self.trees, inputs))

    def save(self, folder: Path) -> None:
        """Write the trees as LightGBM's text."""
        self.trees.save_model(folder / LIGHTGBM_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where it is not there."""
        path = folder / LIGHTGBM_FILE
        return cls(Booster(model_file=path)) if path.exists() else None


def inputs_of(examples: pl.DataFrame) -> tuple[str, ...]:
    """What trees read of these examples: FEATURES, and attributes in the order of their names."""
    return (*FEATURES, *sorted(name for name in examples.columns if name.startswith(PREFIX)))


def feature_matrix(examples: pl.DataFrame) -> np.ndarray:
    """The k columns of `inputs_of` as float64, shape (n, k); undefined values are NaN."""
    inputs = examples[list(inputs_of(examples))].to_numpy(order="c")
    return inputs.astype(np.float64, copy=False)
