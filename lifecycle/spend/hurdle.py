"""The hurdle: whether a customer spends anything over the horizon, times how much those spend who do (Cragg 1971)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from lightgbm import Booster, Dataset, train

from lifecycle.spend.trees import LIGHTGBM_PARAMETERS, NUM_TREES, feature_matrix

BOUGHT_FILE, SPEND_FILE = "hurdle-bought.txt", "hurdle-spend.txt"


@dataclass(frozen=True)
class Hurdle:
    """Trees for the probability of spending anything, and for the spend of those who do."""

    bought: Booster
    spend: Booster


def fit_hurdle(examples: pl.DataFrame, *, seed: int) -> Hurdle:
    """Boosted trees on features and attributes of rows at several cutoffs, of which somebody must spend something.

    Amounts are gamma distributed around their mean, which keeps the total right however long their
    tail is.
    """
    inputs, target = feature_matrix(examples), examples["target"].to_numpy()
    spent = target > 0
    return Hurdle(
        _fit("binary", inputs, spent.astype(float), seed),
        _fit("gamma", inputs[spent], target[spent], seed),
    )


def hurdle_value(hurdle: Hurdle, examples: pl.DataFrame) -> np.ndarray:
    """Expected spend over the horizon, shape (n,)."""
    inputs = feature_matrix(examples)
    bought, spend = (
        np.asarray(trees.predict(inputs, num_threads=1)) for trees in (hurdle.bought, hurdle.spend)
    )
    value: np.ndarray = bought * spend
    return value


def hurdle_churn(hurdle: Hurdle, examples: pl.DataFrame) -> np.ndarray:
    """Probability of spending nothing within the horizon, shape (n,)."""
    left: np.ndarray = 1.0 - np.asarray(
        hurdle.bought.predict(feature_matrix(examples), num_threads=1)
    )
    return left


def save_hurdle(hurdle: Hurdle, folder: Path) -> None:
    """Write both kinds of trees as LightGBM's text."""
    hurdle.bought.save_model(folder / BOUGHT_FILE)
    hurdle.spend.save_model(folder / SPEND_FILE)


def load_hurdle(folder: Path) -> Hurdle:
    """What `save_hurdle` wrote."""
    return Hurdle(Booster(model_file=folder / BOUGHT_FILE), Booster(model_file=folder / SPEND_FILE))


def _fit(objective: str, inputs: np.ndarray, target: np.ndarray, seed: int) -> Booster:
    parameters = {
        name: value
        for name, value in LIGHTGBM_PARAMETERS.items()
        if name != "tweedie_variance_power"
    }
    return train(
        parameters | {"objective": objective, "seed": seed}, Dataset(inputs, target), NUM_TREES
    )
