"""How good the intervals are on the test customers: coverage, sharpness, and whether each segment has its share."""

from collections.abc import Mapping

import numpy as np

from lifecycle.decisions.segments import SEGMENTS, assign_segments, fit_thresholds
from lifecycle.metrics.value import interval_score
from lifecycle.value.intervals import bounds, constant_bounds, predictive_ranks
from training.evaluate.value.forecasts import Judged
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import IntervalMetrics, IntervalResults, SegmentCoverage

NUM_BARS = 10


def judge_intervals(
    judged: Mapping[str, Judged], sets: ExampleSets, champion: str, seed: int
) -> IntervalResults:
    """`intervals` of metrics.json.

    By model and level: coverage, that by the randomised PIT, and the interval score beside that of
    intervals of one width. Of the champion also the PIT in NUM_BARS equal parts and the coverage of
    segments by predicted spend.
    """
    known = target_of(sets.selection)
    actual = target_of(sets.test)
    models: dict[str, IntervalMetrics] = {}
    ranks: dict[str, np.ndarray] = {}
    for name, one in judged.items():
        forecast = one.forecast
        ranks[name] = predictive_ranks(forecast.selection, known, forecast.test, actual, seed=seed)
        models[name] = _of_levels(one, known, actual, ranks[name])
    shares = np.histogram(ranks[champion], NUM_BARS, (0.0, 1.0))[0] / len(actual)
    segments = _of_segments(judged[champion], actual)
    return IntervalResults(models=models, pit_shares=shares.tolist(), segments=segments)


def _of_levels(
    one: Judged, known: np.ndarray, actual: np.ndarray, ranks: np.ndarray
) -> IntervalMetrics:
    """By level, how often the intervals hold, and how sharp they are."""
    found: dict[str, float] = {}
    for level, (low, high) in bounds(one.intervals, one.forecast.test).items():
        constant = constant_bounds(one.forecast.selection, known, one.forecast.test, level)
        inside = (actual >= low) & (actual <= high)
        in_the_middle = np.abs(ranks - 0.5) <= level / 2.0
        percent = f"{100 * level:.0f}"
        found |= {
            f"coverage_{percent}": float(np.mean(inside)),
            f"pit_coverage_{percent}": float(np.mean(in_the_middle)),
            f"interval_score_{percent}": interval_score(actual, low, high, level),
            f"constant_interval_score_{percent}": interval_score(actual, *constant, level),
        }
    return IntervalMetrics.model_validate(found)


def _of_segments(one: Judged, actual: np.ndarray) -> dict[str, SegmentCoverage]:
    """Customers and coverage by level of the segments by predicted spend; the bins of the intervals are finer."""
    predicted = one.forecast.test
    segment = assign_segments(fit_thresholds(predicted), predicted)
    limits = bounds(one.intervals, predicted)
    result: dict[str, SegmentCoverage] = {}
    for name in SEGMENTS:
        here = segment == name
        if not here.any():
            continue
        found = {"num_customers": float(here.sum())}
        for level, (low, high) in limits.items():
            inside = (actual >= low) & (actual <= high)
            found[f"coverage_{100 * level:.0f}"] = float(np.mean(inside[here]))
        result[name] = SegmentCoverage.model_validate(found)
    return result
