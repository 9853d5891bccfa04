"""What needs no model of its own: persistence, and ridge on the numbers that a prompt shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from sklearn.linear_model import Ridge

from lifecycle.features.prompts import PROMPT_NUMBERS
from lifecycle.features.standardisation import Standardisation
from lifecycle.spend.model import Past


@dataclass(frozen=True)
class Persistence:
    """The next horizon spends what the last horizon spent: nothing is fitted, and nothing is kept."""

    @classmethod
    def fit(cls, past: Past, *, seed: int) -> Self:
        """There is nothing to fit."""
        return cls()

    def expected_spend(self, rows: pl.DataFrame) -> np.ndarray:
        """Spend of the last horizon, shape (n,)."""
        return rows["spend_last_horizon"].to_numpy().astype(float)

    def no_purchase(self, rows: pl.DataFrame) -> None:
        """It says how much is spent, not whether anything is."""

    def contributions(self, rows: pl.DataFrame) -> None:
        """One number alone moves it."""

    def save(self, folder: Path) -> None:
        """There is nothing to keep."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """It is always there."""
        return cls()


def ridge_value(train: pl.DataFrame, test: pl.DataFrame, scale: Standardisation) -> np.ndarray:
    """Ridge regression on the numbers that the prompt shows, fitted on train, predicting test, shape (n,)."""
    known = scale.apply(train, PROMPT_NUMBERS)
    return ridge_on(known, train["target"].to_numpy(), scale.apply(test, PROMPT_NUMBERS))


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
