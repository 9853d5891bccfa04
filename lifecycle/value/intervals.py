"""Split-conformal intervals for non-negative spend, calibrated apart in bins of the predicted value (Mondrian).

The conformity score of a customer is actual / (predicted + offset). In a bin of n calibration
customers an interval of level L reaches over ceil((n + 1) L) of the ordered scores, which covers a
new customer with probability L if it is exchangeable with them (Vovk, Gammerman and Shafer 2005,
4.5). It leaves out the lowest (1 - L) / 2, unless customers who spend nothing are more than those:
then it starts at 0 and all the error is left above.
"""

import math
from dataclasses import dataclass

import numpy as np

MIN_BIN_ROWS = 100  # the 95 % interval needs 39; more keeps its noise below the bin's own width
MAX_BINS = 20
OFFSET_SHARE = 0.05  # of the mean prediction, so that scores near a prediction of 0 stay finite


@dataclass(frozen=True)
class Intervals:
    """Score bounds by level (ascending) and bin; bin i holds predictions from edges[i - 1] to below edges[i]."""

    levels: tuple[float, ...]
    edges: tuple[float, ...]
    offset: float
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]


def fit_intervals(
    predicted: np.ndarray, actual: np.ndarray, levels: tuple[float, ...] = (0.8, 0.95)
) -> Intervals:
    """Intervals calibrated on customers (n,) that took no part in training.

    With fewer than (1 + L) / (1 - L) customers in all, the highest score stands in for a bound that
    no sample of that size can give, and coverage falls short. Raises ValueError for no customers,
    negative spend or a level outside (0, 1).
    """
    _check(predicted, actual, levels)
    levels = tuple(sorted(levels))
    offset, edges, ordered = _calibrated(predicted, actual)
    bounds = np.array(
        [[_score_bounds(bin_scores, level) for bin_scores in ordered] for level in levels]
    )
    low = np.minimum.accumulate(bounds[:, :, 0], axis=0)
    high = np.maximum.accumulate(bounds[:, :, 1], axis=0)
    return Intervals(levels, tuple(edges), offset, _rows(low), _rows(high))


def bounds(
    intervals: Intervals, predicted: np.ndarray
) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """By level, the low and high ends (n,); 0 <= low <= predicted <= high, and a higher level holds a lower one."""
    bins = np.searchsorted(np.asarray(intervals.edges), predicted, side="right")
    scale = predicted + intervals.offset
    return {
        level: (
            np.minimum(np.asarray(low)[bins] * scale, predicted),
            np.maximum(np.asarray(high)[bins] * scale, predicted),
        )
        for level, low, high in zip(intervals.levels, intervals.low, intervals.high, strict=True)
    }


def predictive_ranks(
    known: np.ndarray,
    known_actual: np.ndarray,
    predicted: np.ndarray,
    actual: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Where each actual spend falls in the distribution that the intervals come from, 0 to 1, shape (n,).

    `known` and `known_actual` are what the intervals were fitted on. This is the randomised
    probability integral transform of a conformal predictive distribution (Vovk et al. 2019):
    uniform where the distribution is right, also where many spend nothing, whom a closed interval
    covers too often.
    """
    offset, edges, ordered = _calibrated(known, known_actual)
    bins = np.searchsorted(edges, predicted, side="right")
    scores = actual / (predicted + offset)
    chance = np.random.default_rng(seed).uniform(size=len(predicted))
    result = np.empty(len(predicted))
    for number, of_bin in enumerate(ordered):
        here = bins == number
        below, upto = (
            np.searchsorted(of_bin, scores[here], side=side) for side in ("left", "right")
        )
        result[here] = (below + chance[here] * (upto - below + 1)) / (len(of_bin) + 1)
    return result


def constant_bounds(
    known: np.ndarray, known_actual: np.ndarray, predicted: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Split-conformal ends (n,) of one width for everybody, cut at 0: what intervals that adapt must beat."""
    errors = np.sort(np.abs(known_actual - known))
    width = errors[min(math.ceil((len(errors) + 1) * level - 1e-9), len(errors)) - 1]
    return np.maximum(predicted - width, 0.0), predicted + width


def _calibrated(
    predicted: np.ndarray, actual: np.ndarray
) -> tuple[float, list[float], list[np.ndarray]]:
    """Offset, edges between the bins, and the ascending scores of each."""
    offset = OFFSET_SHARE * float(np.mean(predicted)) or 1.0
    edges = _edges(predicted)
    bins = np.searchsorted(edges, predicted, side="right")
    scores = actual / (predicted + offset)
    return offset, edges, [np.sort(scores[bins == number]) for number in range(len(edges) + 1)]


def _edges(predicted: np.ndarray) -> list[float]:
    """Quantiles of the predictions between bins, as many as leave MIN_BIN_ROWS in each; ties stay together."""
    num_bins = min(len(predicted) // MIN_BIN_ROWS, MAX_BINS)
    ordered = np.sort(predicted)
    edges: list[float] = []
    start = 0
    for edge in np.unique(
        ordered[[len(ordered) * number // num_bins for number in range(1, num_bins)]]
    ):
        position = int(np.searchsorted(ordered, edge))
        if position - start >= MIN_BIN_ROWS and len(ordered) - position >= MIN_BIN_ROWS:
            edges.append(float(edge))
            start = position
    return edges


def _score_bounds(ordered: np.ndarray, level: float) -> tuple[float, float]:
    """Lowest and highest score of the interval of one bin, from its ascending scores."""
    num_rows = len(ordered)
    num_below = math.floor((num_rows + 1) * (1.0 - level) / 2.0 + 1e-9)
    low = float(ordered[num_below - 1]) if num_below else 0.0
    if low == 0.0:
        num_below = 0
    last = num_below + math.ceil((num_rows + 1) * level - 1e-9)
    return low, float(ordered[min(last, num_rows) - 1])


def _rows(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in values)


def _check(predicted: np.ndarray, actual: np.ndarray, levels: tuple[float, ...]) -> None:
    if len(predicted) == 0 or len(predicted) != len(actual):
        raise ValueError(
            f"{len(predicted)} predictions and {len(actual)} actual values; intervals need equal, some"
        )
    for name, values in (("predicted", predicted), ("actual", actual)):
        if not (values >= 0).all() or not np.isfinite(values).all():
            raise ValueError(
                f"{name} holds {values[~(values >= 0) | ~np.isfinite(values)][0]}; spend is at least 0"
            )
    if not levels or not all(0.0 < level < 1.0 for level in levels):
        raise ValueError(f"levels are {levels}; each must lie between 0 and 1")
