"""How good the intervals are on the test customers: coverage, sharpness, and whether each segment has its share."""

import numpy as np

from lifecycle.decisions.segments import SEGMENTS, assign_segments, fit_thresholds
from lifecycle.metrics.value import interval_score
from lifecycle.value.intervals import bounds, constant_bounds, predictive_ranks
from training.evaluate.value.entries import Entry
from training.evaluate.value.windows import ExampleSets, target_of

NUM_BARS = 10


def judge_intervals(
    entries: dict[str, Entry], sets: ExampleSets, champion: str, seed: int
) -> dict[str, object]:
    """`intervals` of metrics.json.

    By model and level: coverage, that by the randomised PIT, and the interval score beside that of
    intervals of one width. Of the champion also the PIT in NUM_BARS equal parts and the coverage of
    segments by predicted spend.
    """
    known, actual = target_of(sets.selection), target_of(sets.test)
    models: dict[str, dict[str, float]] = {}
    for name, entry in entries.items():
        assert entry.intervals is not None
        ranks = predictive_ranks(entry.selection, known, entry.test, actual, seed=seed)
        models[name] = {}
        for level, (low, high) in bounds(entry.intervals, entry.test).items():
            constant = constant_bounds(entry.selection, known, entry.test, level)
            models[name] |= {
                f"coverage_{100 * level:.0f}": float(np.mean((actual >= low) & (actual <= high))),
                f"pit_coverage_{100 * level:.0f}": float(
                    np.mean(np.abs(ranks - 0.5) <= level / 2.0)
                ),
                f"interval_score_{100 * level:.0f}": interval_score(actual, low, high, level),
                f"constant_interval_score_{100 * level:.0f}": interval_score(
                    actual, *constant, level
                ),
            }
        if name == champion:
            shares = np.histogram(ranks, NUM_BARS, (0.0, 1.0))[0] / len(ranks)
    return {
        "models": models,
        "pit_shares": shares.tolist(),
        "segments": _of_segments(entries[champion], actual),
    }


def _of_segments(entry: Entry, actual: np.ndarray) -> dict[str, dict[str, float | int]]:
    """Customers and coverage by level of the segments by predicted spend; the bins of the intervals are finer."""
    assert entry.intervals is not None
    segment = assign_segments(fit_thresholds(entry.test), entry.test)
    limits, result = bounds(entry.intervals, entry.test), {}
    for name in SEGMENTS:
        here = segment == name
        if here.any():
            covered = {
                f"coverage_{100 * level:.0f}": float(
                    np.mean((actual >= low)[here] & (actual <= high)[here])
                )
                for level, (low, high) in limits.items()
            }
            result[name] = {"num_customers": int(here.sum()), **covered}
    return result
