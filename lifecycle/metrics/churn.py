"""Churn: the probability that a customer buys nothing within the horizon, judged as probabilities are.

Brier score (Brier 1950): mean squared distance of probability and outcome, 0 at best; the base rate
for everybody has r (1 - r). AUROC: how often one of those who left has the higher probability than
one of those who stayed.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from lifecycle.metrics.means import mean_intervals

NUM_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Mean probability and share of customers who bought nothing in bins of equally many customers, shape (bins,)."""

    predicted: list[float]
    actual: list[float]


def churn_metrics(left: np.ndarray, probability: np.ndarray) -> dict[str, float | None]:
    """auroc, brier, brier_skill and bias of probabilities (n,) of having bought nothing, `left` (n,) is true or false.

    brier_skill is 1 - brier / that of the base rate for everybody: above 0 says something. bias is
    sum(probability) / sum(left). None where undefined: nobody left, or everybody.
    """
    rate = float(left.mean())
    brier = float(np.mean((probability - left) ** 2))
    both = 0.0 < rate < 1.0
    return {
        "auroc": float(roc_auc_score(left, probability)) if both else None,
        "brier": brier,
        "brier_skill": 1.0 - brier / (rate * (1.0 - rate)) if both else None,
        "bias": float(probability.sum() / left.sum()) if rate else None,
    }


def brier_interval(
    left: np.ndarray, probability: np.ndarray, *, num_resamples: int, seed: int, level: float
) -> tuple[float, float]:
    """Percentile interval of the Brier score over resampled customers."""
    errors = (probability - left) ** 2
    columns = errors[:, None]
    (found,) = mean_intervals(columns, num_resamples=num_resamples, seed=seed, level=level)
    assert found is not None
    return found


def churn_calibration(left: np.ndarray, probability: np.ndarray) -> Calibration:
    """Customers by probability in NUM_BINS equal parts, fewer where there are fewer customers."""
    parts = np.array_split(np.argsort(probability, kind="stable"), min(NUM_BINS, len(left)))
    return Calibration(
        [float(probability[part].mean()) for part in parts],
        [float(left[part].mean()) for part in parts],
    )
