"""LightGBM's trees on features and attributes."""

import lightgbm
import numpy as np
import polars as pl

from lifecycle.features.attributes import PREFIX
from lifecycle.features.numbers import FEATURES

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


def fit_lightgbm(examples: pl.DataFrame, *, seed: int) -> lightgbm.Booster:
    """Gradient-boosted trees with Tweedie loss on features and attributes; `examples` may hold several cutoffs.

    Somebody must spend something: the loss has no minimum otherwise.
    """
    data = lightgbm.Dataset(feature_matrix(examples), examples["target"].to_numpy())
    return lightgbm.train(LIGHTGBM_PARAMETERS | {"seed": seed}, data, NUM_TREES)


def lightgbm_value(model: lightgbm.Booster, examples: pl.DataFrame) -> np.ndarray:
    """Expected spend over the horizon, shape (n,)."""
    return np.asarray(model.predict(feature_matrix(examples), num_threads=1), dtype=float)


def inputs_of(examples: pl.DataFrame) -> tuple[str, ...]:
    """What trees read of these examples: FEATURES, and attributes in the order of their names."""
    return (*FEATURES, *sorted(name for name in examples.columns if name.startswith(PREFIX)))


def feature_matrix(examples: pl.DataFrame) -> np.ndarray:
    """The k columns of `inputs_of` as float64, shape (n, k); undefined values are NaN."""
    return examples.select(inputs_of(examples)).to_numpy()
