"""What needs no model of its own: persistence, and ridge on the numbers that a prompt shows."""

import numpy as np
import polars as pl
from sklearn.linear_model import Ridge

from lifecycle.features.prompts import PROMPT_NUMBERS
from lifecycle.features.standardisation import Standardisation


def persistence(examples: pl.DataFrame) -> np.ndarray:
    """The next horizon spends what the last horizon spent, shape (n,)."""
    return examples["spend_last_horizon"].to_numpy().astype(float)


def ridge_value(train: pl.DataFrame, test: pl.DataFrame, scale: Standardisation) -> np.ndarray:
    """Ridge regression on the numbers that the prompt shows, fitted on train, predicting test, shape (n,)."""
    known, new = (scale.apply(rows, PROMPT_NUMBERS) for rows in (train, test))
    return ridge_on(known, train["target"].to_numpy(), new)


def ridge_on(
    train_inputs: np.ndarray, target: np.ndarray, test_inputs: np.ndarray, alpha: float = 1.0
) -> np.ndarray:
    """Ridge on the square root of spend, squared back with the residual variance added; shape (n_test,).

    The root tames the tail without cutting customers who spent nothing, as a logarithm would.
    """
    root = np.sqrt(target)
    model = Ridge(alpha=alpha).fit(train_inputs, root)
    residual_variance = float(np.var(root - model.predict(train_inputs)))
    return np.clip(model.predict(test_inputs), 0, None) ** 2 + residual_variance  # type: ignore[no-any-return]
