"""Segments by quantiles, with ties and extremes."""

from dataclasses import asdict

import numpy as np
import pytest

from lifecycle.decisions.segments import SegmentThresholds, assign_segments, fit_thresholds


def test_shares_of_distinct_scores() -> None:
    scores = np.random.default_rng(0).permutation(1000.0 * np.arange(1000))
    names, counts = np.unique(assign_segments(fit_thresholds(scores), scores), return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "low": 500,
        "middle": 300,
        "high": 150,
        "top": 50,
    }


def test_ties_fall_to_the_segment_below() -> None:
    thresholds = SegmentThresholds(middle=1.0, high=2.0, top=3.0)
    found = assign_segments(thresholds, np.array([-1.0, 1.0, 1.1, 2.0, 3.0, 3.1])).tolist()
    assert found == ["low", "low", "middle", "middle", "high", "top"]


@pytest.mark.parametrize("scores", [[5.0], [0.0, 0.0, 0.0], [0.0] * 99 + [1.0]])
def test_nobody_is_above_equal_scores(scores: list[float]) -> None:
    segments = assign_segments(fit_thresholds(np.array(scores)), np.array(scores))
    assert set(segments[np.array(scores) == scores[0]].tolist()) == {"low"}


def test_higher_score_never_means_lower_segment() -> None:
    scores = np.sort(np.random.default_rng(1).integers(0, 6, 300).astype(float))
    order = [
        ["low", "middle", "high", "top"].index(name)
        for name in assign_segments(fit_thresholds(scores), scores)
    ]
    assert order == sorted(order)


def test_thresholds_survive_json() -> None:
    thresholds = fit_thresholds(np.arange(10.0))
    assert SegmentThresholds(**asdict(thresholds)) == thresholds


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [float("inf")]])
def test_bad_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite scores"):
        fit_thresholds(np.array(scores))
