"""Probabilities of leaving: scores by hand, on simulated customers, and where nobody or everybody left."""

import numpy as np
import pytest

from lifecycle.metrics.churn import brier_interval, churn_calibration, churn_metrics

LEFT = np.array([True, False, True, False])


def test_scores_by_hand() -> None:
    found = churn_metrics(LEFT, np.array([0.9, 0.2, 0.4, 0.5]))
    assert found["auroc"] == pytest.approx(
        3 / 4
    )  # of four pairs, only 0.4 against 0.5 is the wrong way round
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.36 + 0.25) / 4)
    assert found["brier_skill"] == pytest.approx(1 - found["brier"] / 0.25)
    assert found["bias"] == pytest.approx(1.0)


def test_base_rate_has_no_skill_and_the_truth_has_all() -> None:
    rate = churn_metrics(LEFT, np.full(4, 0.5))
    assert (rate["brier_skill"], rate["auroc"]) == (pytest.approx(0.0), 0.5)
    assert churn_metrics(LEFT, LEFT.astype(float)) == {
        "auroc": 1.0,
        "brier": 0.0,
        "brier_skill": 1.0,
        "bias": 1.0,
    }


@pytest.mark.parametrize(("left", "bias"), [(False, None), (True, 0.1)])
def test_where_all_did_the_same_order_and_skill_are_undefined(
    left: bool, bias: float | None
) -> None:
    found = churn_metrics(np.full(3, left), np.full(3, 0.1))
    assert (found["auroc"], found["brier_skill"]) == (None, None)
    assert found["bias"] == (None if bias is None else pytest.approx(bias))


def test_true_probabilities_are_calibrated_and_their_interval_holds_the_expected_score() -> None:
    random = np.random.default_rng(0)
    probability = random.beta(1.0, 3.0, 20_000)
    left = random.random(20_000) < probability
    calibration = churn_calibration(left, probability)
    assert len(calibration.predicted) == 10 and calibration.predicted == sorted(
        calibration.predicted
    )
    assert calibration.actual == pytest.approx(calibration.predicted, abs=0.04)
    low, high = brier_interval(left, probability, num_resamples=200, seed=0, level=0.95)
    assert low < float(np.mean(probability * (1 - probability))) < high
    assert high - low < 0.01


def test_fewer_customers_than_bins_have_a_bin_each() -> None:
    assert churn_calibration(LEFT, np.array([0.4, 0.1, 0.3, 0.2])).actual == [0.0, 0.0, 1.0, 1.0]
