"""Coverage, nesting and bounds of the conformal intervals."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from lifecycle.metrics.value import interval_score
from lifecycle.value.intervals import (
    Intervals,
    bounds,
    constant_bounds,
    fit_intervals,
    predictive_ranks,
)


def customers(seed: int, count: int, buying: float) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and spends whose spread, relative and absolute, changes with the prediction."""
    random = np.random.default_rng(seed)
    predicted = random.lognormal(3.0, 1.0, count)
    spread = 0.3 + 0.7 * (predicted < 20)
    actual = predicted / buying * np.exp(spread * random.normal(size=count) - spread**2 / 2)
    return predicted, np.where(random.random(count) < buying, actual, 0.0)


@pytest.mark.parametrize("buying", [1.0, 0.95])
def test_coverage_overall_and_on_both_ends_of_the_predictions(buying: float) -> None:
    intervals = fit_intervals(*customers(0, 8000, buying))
    predicted, actual = customers(1, 40_000, buying)
    found = bounds(intervals, predicted)
    small, large = predicted < np.quantile(predicted, 0.3), predicted > np.quantile(predicted, 0.7)
    for level in (0.8, 0.95):
        low, high = found[level]
        inside = (actual >= low) & (actual <= high)
        for group in (slice(None), small, large):
            assert inside[group].mean() == pytest.approx(level, abs=0.03)


def test_error_goes_above_where_many_spend_nothing() -> None:
    intervals = fit_intervals(*customers(0, 8000, 0.4))
    predicted, actual = customers(1, 40_000, 0.4)
    low, high = bounds(intervals, predicted)[0.8]
    assert (low == 0).all()
    assert (actual <= high).mean() == pytest.approx(0.8, abs=0.02)


def test_ends_hold_the_prediction_and_nest() -> None:
    for seed in range(20):
        count = int(np.random.default_rng(seed).integers(1, 400))
        intervals = fit_intervals(*customers(seed, count, 0.7), levels=(0.92, 0.5, 0.9))
        predicted = np.concatenate([[0.0], customers(seed + 50, 500, 0.7)[0], [1e9]])
        found = bounds(intervals, predicted)
        assert list(found) == [0.5, 0.9, 0.92]
        inner = (predicted, predicted)
        for low, high in found.values():
            assert (low >= 0).all() and (low <= inner[0]).all() and (high >= inner[1]).all()
            inner = (low, high)


def test_finite_sample_correction_by_hand() -> None:
    # 9 equal predictions, scores in steps: ceil(10 * 0.8) = 8 of the ordered scores, the first left out.
    predicted, actual = np.full(9, 10.0), np.arange(1.0, 10.0) * 5
    low, high = bounds(fit_intervals(predicted, actual, levels=(0.8,)), predicted)[0.8]
    assert low[0] == pytest.approx(5.0) and high[0] == pytest.approx(45.0)
    low, high = bounds(fit_intervals(predicted, actual, levels=(0.4,)), predicted)[0.4]
    assert low[0] == pytest.approx(10.0)  # never above the prediction; the third score is 15
    assert high[0] == pytest.approx(35.0)  # the third and ceil(10 * 0.4) = 4 more


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_calibration_sets_give_their_extremes(count: int) -> None:
    intervals = fit_intervals(np.full(count, 4.0), np.arange(1.0, count + 1) * 8)
    low, high = bounds(intervals, np.array([4.0]))[0.95]
    assert low[0] == 0.0 and high[0] == pytest.approx(8.0 * count)


def test_ties_stay_in_one_bin_and_small_bins_are_merged() -> None:
    predicted = np.concatenate([np.zeros(770), np.linspace(1, 9, 230)])
    intervals = fit_intervals(predicted, predicted * 2)
    assert all(1.0 <= edge <= 9.0 for edge in intervals.edges) and len(intervals.edges) >= 1
    sizes = np.bincount(np.searchsorted(intervals.edges, predicted, side="right"))
    assert (sizes >= 100).all() and sizes[0] >= 770
    assert fit_intervals(np.ones(500), np.ones(500)).edges == ()


def test_all_zero_predictions_and_spends() -> None:
    low, high = bounds(fit_intervals(np.zeros(50), np.zeros(50)), np.zeros(3))[0.95]
    assert (low == 0).all() and (high == 0).all()


def test_unit_of_money_does_not_matter() -> None:
    predicted, actual = customers(3, 900, 0.8)
    euros, cents = fit_intervals(predicted, actual), fit_intervals(100 * predicted, 100 * actual)
    for level, (low, high) in bounds(euros, predicted).items():
        np.testing.assert_allclose(
            bounds(cents, 100 * predicted)[level], (100 * low, 100 * high), rtol=1e-9
        )


def test_intervals_survive_json() -> None:
    predicted, actual = customers(4, 600, 0.8)
    intervals = fit_intervals(predicted, actual)
    again = Intervals(**json.loads(json.dumps(asdict(intervals))))
    for level, ends in bounds(intervals, predicted).items():
        np.testing.assert_array_equal(bounds(again, predicted)[level], ends)


@pytest.mark.parametrize(
    ("predicted", "actual", "levels"),
    [
        ([], [], (0.8,)),
        ([1.0], [1.0, 2.0], (0.8,)),
        ([1.0], [-1.0], (0.8,)),
        ([float("nan")], [1.0], (0.8,)),
        ([1.0], [1.0], (1.0,)),
        ([1.0], [1.0], ()),
    ],
)
def test_bad_calibration_is_refused(
    predicted: list[float], actual: list[float], levels: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="intervals need|spend is at least 0|levels are"):
        fit_intervals(np.array(predicted), np.array(actual), levels)


@pytest.mark.parametrize("buying", [1.0, 0.3])
def test_ranks_are_uniform_where_the_distribution_is_right_also_with_many_zeros(
    buying: float,
) -> None:
    known, (predicted, actual) = customers(0, 8000, buying), customers(1, 40_000, buying)
    ranks = predictive_ranks(*known, predicted, actual, seed=0)
    shares = np.histogram(ranks, 10, (0.0, 1.0))[0] / len(ranks)
    np.testing.assert_allclose(shares, 0.1, atol=0.015)
    low, high = bounds(fit_intervals(*known), predicted)[0.8]
    closed = np.mean((actual >= low) & (actual <= high))
    assert np.mean(np.abs(ranks - 0.5) <= 0.4) == pytest.approx(0.8, abs=0.01)
    assert closed >= 0.78
    late = predictive_ranks(*known, predicted, 2.0 * actual, seed=0)
    assert np.mean(late > 0.9) > 0.13  # a distribution that is too low shows


def test_interval_score_by_hand_and_intervals_that_adapt_beat_those_of_one_width() -> None:
    actual, low, high = (
        np.array([5.0, 0.0, 12.0]),
        np.array([4.0, 1.0, 6.0]),
        np.array([6.0, 3.0, 10.0]),
    )
    assert interval_score(actual, low, high, 0.8) == pytest.approx((2 + 2 + 4 + 10 * (1 + 2)) / 3)
    known, (predicted, actual) = customers(0, 8000, 1.0), customers(1, 40_000, 1.0)
    constant, adaptive = (
        constant_bounds(*known, predicted, 0.8),
        bounds(fit_intervals(*known), predicted)[0.8],
    )
    assert np.mean((actual >= constant[0]) & (actual <= constant[1])) == pytest.approx(
        0.8, abs=0.02
    )
    assert interval_score(actual, *adaptive, 0.8) < interval_score(actual, *constant, 0.8)
