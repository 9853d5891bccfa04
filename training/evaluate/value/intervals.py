"""How good the intervals are on the test customers: coverage, sharpness, and whether each group has its share."""

from collections.abc import Mapping

import numpy as np

from lifecycle.decisions.segments import SEGMENTS, assign_segments, fit_thresholds
from lifecycle.metrics.value import interval_score
from lifecycle.value.intervals import bounds, constant_bounds, predictive_ranks
from training.evaluate.value.forecasts import Judged
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import GroupCoverage, IntervalMetrics, IntervalResults

NUM_BARS = 10
# By order days before the cutoff: the most of each but the last.
HISTORIES = {"one order day": 1, "two to five": 5, "six or more": None}
MARGIN = 0.03


def judge_intervals(
    judged: Mapping[str, Judged], sets: ExampleSets, champion: str, seed: int
) -> IntervalResults:
    """`intervals` of metrics.json.

    By model and level: coverage, that by the randomised PIT, and the interval score beside that of
    intervals of one width. Of the champion also the PIT in NUM_BARS equal parts, and coverage by
    segment of predicted spend and by history.
    """
    known = target_of(sets.selection)
    actual = target_of(sets.test)
    models: dict[str, IntervalMetrics] = {}
    ranks: dict[str, np.ndarray] = {}
    for name, one in judged.items():
        # Other draws than those of the calibration.
        ranks[name] = predictive_ranks(one.intervals, one.outcomes, actual, seed=seed + 1)
        models[name] = _of_levels(one, known, actual, ranks[name])
    shares = np.histogram(ranks[champion], NUM_BARS, (0.0, 1.0))[0] / len(actual)
    best = judged[champion]
    return IntervalResults(
        models=models,
        calibrated_on=best.calibrated_on,
        pit_shares=shares.tolist(),
        segments=_by_group(best, actual, ranks[champion], _segments(best.forecast.test)),
        history=_by_group(best, actual, ranks[champion], _histories(best.outcomes.num_order_days)),
    )


def _of_levels(
    one: Judged, known: np.ndarray, actual: np.ndarray, ranks: np.ndarray
) -> IntervalMetrics:
    """By level, how often the intervals hold, and how sharp they are."""
    found: dict[str, float] = {}
    for level, (low, high) in bounds(one.intervals, one.outcomes).items():
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


def _segments(predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Who is in each segment by predicted spend, booleans (n,)."""
    segment = assign_segments(fit_thresholds(predicted), predicted)
    return {name: segment == name for name in SEGMENTS}


def _histories(num_order_days: np.ndarray) -> dict[str, np.ndarray]:
    """Who has how much history, booleans (n,)."""
    found = {}
    least = 0
    for name, most in HISTORIES.items():
        is_within = num_order_days > least
        found[name] = is_within if most is None else is_within & (num_order_days <= most)
        least = most or least
    return found


def _by_group(
    one: Judged, actual: np.ndarray, ranks: np.ndarray, groups: Mapping[str, np.ndarray]
) -> dict[str, GroupCoverage]:
    """By group that has customers: how many, and by level coverage, that by PIT, and how far chance may take it."""
    limits = bounds(one.intervals, one.outcomes)
    result: dict[str, GroupCoverage] = {}
    for name, here in groups.items():
        if not here.any():
            continue
        count = int(here.sum())
        found: dict[str, float] = {"num_customers": count}
        for level, (low, high) in limits.items():
            inside = (actual >= low) & (actual <= high)
            in_the_middle = np.abs(ranks - 0.5) <= level / 2.0
            percent = f"{100 * level:.0f}"
            found[f"coverage_{percent}"] = float(np.mean(inside[here]))
            found[f"pit_coverage_{percent}"] = float(np.mean(in_the_middle[here]))
            found[f"margin_{percent}"] = max(MARGIN, 2.0 * np.sqrt(level * (1.0 - level) / count))
        result[name] = GroupCoverage.model_validate(found)
    return result
