"""The trees of the stack: three kinds, which all read what BG/NBD expects of a customer."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import polars as pl
from lightgbm import Booster, Dataset, train

from lifecycle.btyd.effects import BTYD_INPUTS
from lifecycle.btyd.model import Btyd, btyd_active, btyd_order_value, btyd_value, fit_btyd
from lifecycle.features.drivers import DRIVER_NAMES, driver_of
from lifecycle.names import BGNBD
from lifecycle.spend.trees import LIGHTGBM_PARAMETERS, NUM_TREES, feature_matrix, inputs_of

BTYD_NUMBERS = ("btyd_spend", "btyd_orders", "btyd_order_value", "btyd_active")
CORRECTING = "correcting"
INFORMED = "informed"
SLOW = "slow"
# Trees, and what differs from LIGHTGBM_PARAMETERS.
SETTINGS: dict[str, tuple[int, dict[str, float]]] = {
    CORRECTING: (NUM_TREES * 3 // 5, {}),
    INFORMED: (NUM_TREES, {}),
    SLOW: (600, {"learning_rate": 0.015, "num_leaves": 8, "feature_fraction": 0.3}),
}
LEAST_SPEND = 1e-3  # of BG/NBD's expectation, whose logarithm the correcting trees start from


def fit_trees(
    rows: pl.DataFrame, horizon_days: int, seed: int
) -> tuple[dict[str, Booster], np.ndarray]:
    """Trees on rows of several cutoffs, each with its own BG/NBD, and what that expects of each row, (n,).

    Where a cutoff does not support BG/NBD its rows are left to the trees that do without it.
    """
    parts = [
        (part, supported_btyd(part)) for part in rows.partition_by("cutoff", maintain_order=True)
    ]
    inputs = np.vstack([stack_inputs(part, model, horizon_days) for part, model in parts])
    target = np.concatenate([part["target"].to_numpy() for part, _ in parts])
    start = log_btyd(inputs)
    known = np.isfinite(start)
    fitted = {name: _fit(name, inputs, target, None, seed) for name in (INFORMED, SLOW)}
    if known.any() and target[known].sum() > 0:
        fitted[CORRECTING] = _fit(CORRECTING, inputs[known], target[known], start[known], seed)
    return fitted, btyd_spend_of(inputs)


def supported_btyd(rows: pl.DataFrame) -> Btyd | None:
    """BG/NBD of the customers at a cutoff; None where too few have bought again."""
    try:
        return fit_btyd(rows, (BGNBD,))[BGNBD]
    except ValueError:
        return None


def stack_inputs(rows: pl.DataFrame, btyd: Btyd | None, horizon_days: int) -> np.ndarray:
    """What trees read of customers, `inputs_of` and BTYD_NUMBERS, as float64 (n, k); what is not defined is NaN."""
    if btyd is None:
        expected = np.full((rows.height, len(BTYD_NUMBERS)), np.nan)
    else:
        spend = btyd_value(btyd, rows, horizon_days)
        order_value = btyd_order_value(btyd, rows)
        expected = np.column_stack(
            [spend, spend / order_value, order_value, btyd_active(btyd, rows)]
        )
    return np.hstack([feature_matrix(rows), expected])


def moving_drivers(trees: Iterable[Booster], rows: pl.DataFrame) -> frozenset[str]:
    """Those of DRIVER_NAMES that may move a stack: of inputs that some tree splits on, and of what BG/NBD reads."""
    is_split = np.any([_splits(booster) for booster in trees], axis=0)
    names = np.array([*inputs_of(rows), *BTYD_NUMBERS])
    moving = {driver_of(name) for name in (*names[is_split], *BTYD_INPUTS)}
    return frozenset(name for name in DRIVER_NAMES if name.rpartition("_")[0] in moving)


@lru_cache(maxsize=16)
def _splits(booster: Booster) -> np.ndarray:
    """Which inputs its trees split on, (k,) bool; LightGBM reads all trees for it, which takes long."""
    found: np.ndarray = booster.feature_importance() > 0
    return found


def btyd_spend_of(inputs: np.ndarray) -> np.ndarray:
    """BG/NBD's expected spend among what trees read, shape (n,); NaN without one."""
    spend: np.ndarray = inputs[:, BTYD_NUMBERS.index("btyd_spend") - len(BTYD_NUMBERS)]
    return spend


def log_btyd(inputs: np.ndarray) -> np.ndarray:
    """What the correcting trees start from, shape (n,)."""
    return np.log(np.maximum(btyd_spend_of(inputs), LEAST_SPEND))  # type: ignore[no-any-return]


def _fit(
    name: str, inputs: np.ndarray, target: np.ndarray, start: np.ndarray | None, seed: int
) -> Booster:
    num_trees, changes = SETTINGS[name]
    return train(
        LIGHTGBM_PARAMETERS | changes | {"seed": seed},
        Dataset(inputs, target, init_score=start),
        num_trees,
    )
