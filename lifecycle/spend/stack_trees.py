"""The trees of the stack: three kinds, which all read what BG/NBD expects of a customer; what it counts beside them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from lightgbm import Booster, Dataset, train

from lifecycle.btyd.effects import BTYD_INPUTS
from lifecycle.btyd.model import Btyd, btyd_active, btyd_order_value, btyd_value, fit_btyd
from lifecycle.features.drivers import DRIVER_NAMES, driver_of
from lifecycle.names import BGNBD
from lifecycle.spend.blend import is_clearly_better
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
TRUSTED_BUYERS = 500  # training customers who spent over the horizon: from as many, trees count as much as BG/NBD
TEACHING_FOLDS = (0, 1, 2)  # of five, of customers by whom it is found whether BG/NBD misleads
MISLED = 2.0  # times the squared errors of trees
LEAST_SPEND = 1e-3  # of BG/NBD's expectation, whose logarithm the correcting trees start from


@dataclass(frozen=True)
class Lessons:
    """What trees learn from: n customers at several cutoffs."""

    inputs: np.ndarray  # (n, k)
    target: np.ndarray  # (n,)
    fold: np.ndarray  # (n,), of the customer
    is_latest: np.ndarray  # (n,) bool, at the latest cutoff

    @property
    def expected(self) -> np.ndarray:
        """What BG/NBD of its cutoff expects of each, (n,); NaN without one."""
        return btyd_spend_of(self.inputs)


def lessons_of(rows: pl.DataFrame, horizon_days: int) -> Lessons:
    """Rows of several cutoffs, each with its own BG/NBD."""
    parts = rows.partition_by("cutoff", maintain_order=True)
    inputs = [stack_inputs(part, supported_btyd(part), horizon_days) for part in parts]
    ordered = pl.concat(parts)
    return Lessons(
        inputs=np.vstack(inputs),
        target=ordered["target"].to_numpy(),
        fold=ordered["fold"].to_numpy(),
        is_latest=(ordered["cutoff"] == ordered["cutoff"].max()).to_numpy(),
    )


def fit_trees(lessons: Lessons, seed: int) -> dict[str, Booster]:
    """Each kind of trees; rows of a cutoff that does not support BG/NBD are left to those that do without it."""
    inputs = lessons.inputs
    target = lessons.target
    fitted = {name: _fit(name, inputs, target, None, seed) for name in (INFORMED, SLOW)}
    start = log_btyd(inputs)
    known = np.isfinite(start)
    if known.any() and target[known].sum() > 0:
        fitted[CORRECTING] = _fit(CORRECTING, inputs[known], target[known], start[known], seed)
    return fitted


def btyd_share(lessons: Lessons, seed: int) -> float:
    """The share of BG/NBD itself beside trees, by how many customers at the latest cutoff went on to spend.

    0 where it misleads. See benchmarks/small_data.py and benchmarks/generalisation.py.
    """
    num_buyers = int((lessons.target[lessons.is_latest] > 0).sum())
    return 0.0 if _misleads(lessons, seed) else TRUSTED_BUYERS / (TRUSTED_BUYERS + num_buyers)


def _misleads(lessons: Lessons, seed: int) -> bool:
    """Whether BG/NBD's squared errors are clearly more than MISLED times those of trees that other customers taught.

    As where people pay for plans: not at a rate, but on days. Both have the total that came.
    """
    teaches = np.isin(lessons.fold, TEACHING_FOLDS)
    asked = ~teaches & lessons.is_latest & np.isfinite(lessons.expected)
    actual = lessons.target[asked]
    expected = lessons.expected[asked]
    if not (lessons.target[teaches].sum() > 0 and actual.sum() > 0 and expected.sum() > 0):
        return False
    trees = _fit(INFORMED, lessons.inputs[teaches], lessons.target[teaches], None, seed)
    said = np.asarray(trees.predict(lessons.inputs[asked], num_threads=1), dtype=float)
    by_trees = actual.sum() / said.sum() * said
    by_btyd = actual.sum() / expected.sum() * expected
    return is_clearly_better(by_trees, by_btyd, actual, MISLED)


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
