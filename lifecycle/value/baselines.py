"""The cheap value models that every LLaMA is judged beside, but for those of `buying`: persistence, LightGBM, ridge."""

import lightgbm
import numpy as np
import polars as pl
from sklearn.linear_model import Ridge

from lifecycle.features import FEATURES
from lifecycle.prompts import PROMPT_NUMBERS
from lifecycle.standardisation import Standardisation

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


def persistence(examples: pl.DataFrame) -> np.ndarray:
    """The next horizon spends what the last horizon spent, shape (n,)."""
    return examples["spend_last_horizon"].to_numpy().astype(float)


def fit_lightgbm(examples: pl.DataFrame, *, seed: int) -> lightgbm.Booster:
    """Gradient-boosted trees with Tweedie loss on FEATURES; `examples` may hold several cutoffs.

    Somebody must spend something: the loss has no minimum otherwise.
    """
    data = lightgbm.Dataset(feature_matrix(examples), examples["target"].to_numpy(), feature_name=list(FEATURES))
    return lightgbm.train(LIGHTGBM_PARAMETERS | {"seed": seed}, data, NUM_TREES)


def lightgbm_value(model: lightgbm.Booster, examples: pl.DataFrame) -> np.ndarray:
    """Expected spend over the horizon, shape (n,)."""
    return np.asarray(model.predict(feature_matrix(examples), num_threads=1), dtype=float)


def feature_matrix(examples: pl.DataFrame) -> np.ndarray:
    """FEATURES as float64, shape (n, len(FEATURES)); undefined values are NaN."""
    return examples.select(FEATURES).to_numpy()


def ridge_value(train: pl.DataFrame, test: pl.DataFrame, scale: Standardisation) -> np.ndarray:
    """Ridge regression on the numbers that the prompt shows, fitted on train, predicting test, shape (n,)."""
    known, new = (scale.apply(rows, PROMPT_NUMBERS) for rows in (train, test))
    return ridge_on(known, train["target"].to_numpy(), new)


def ridge_on(train_inputs: np.ndarray, target: np.ndarray, test_inputs: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Ridge on the square root of spend, squared back with the residual variance added; shape (n_test,).

    The root tames the tail without cutting customers who spent nothing, as a logarithm would.
    """
    root = np.sqrt(target)
    model = Ridge(alpha=alpha).fit(train_inputs, root)
    residual_variance = float(np.var(root - model.predict(train_inputs)))
    return np.clip(model.predict(test_inputs), 0, None) ** 2 + residual_variance  # type: ignore[no-any-return]
