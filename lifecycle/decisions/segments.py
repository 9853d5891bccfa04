"""Value segments: top, high, middle and low customers by quantiles of a score."""

from dataclasses import dataclass

import numpy as np

SEGMENTS = ("low", "middle", "high", "top")  # in the order of the score
MIDDLE_QUANTILE = 0.5
HIGH_QUANTILE = 0.8
TOP_QUANTILE = 0.95


@dataclass(frozen=True)
class SegmentThresholds:
    """Scores that a customer of a segment is above; up to and including `middle` a customer is low."""

    middle: float
    high: float
    top: float


def fit_thresholds(scores: np.ndarray) -> SegmentThresholds:
    """Thresholds that make the best 5 % of customers top, the next 15 % high, 30 % middle and half of them low.

    Ties at a threshold fall to the segment below it, so equal scores never land in different
    segments. Raises ValueError for no scores, or scores that are not finite.
    """
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            f"segments need finite scores; got {len(scores)}, {np.isfinite(scores).sum()} of them finite"
        )
    middle, high, top = np.quantile(scores, [MIDDLE_QUANTILE, HIGH_QUANTILE, TOP_QUANTILE])
    return SegmentThresholds(float(middle), float(high), float(top))


def assign_segments(thresholds: SegmentThresholds, scores: np.ndarray) -> np.ndarray:
    """The segment of each score, strings of shape (n,)."""
    edges = np.array([thresholds.middle, thresholds.high, thresholds.top])
    return np.array(SEGMENTS)[np.searchsorted(edges, scores, side="left")]
