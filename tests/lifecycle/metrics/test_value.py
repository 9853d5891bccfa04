"""Value metrics against scipy, resampled rows and hand-worked numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from lifecycle.metrics.value import (
    _outcome,
    _weighted_metrics,
    bootstrap,
    paired_difference,
    value_metrics,
)

RANKED = ("spearman", "gini")


def shop(seed: int = 0, count: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    actual = np.where(random.random(count) < 0.4, random.lognormal(3.0, 1.0, count), 0.0)
    return actual, 0.5 * actual + random.lognormal(2.0, 1.0, count)


def step_gini(actual: np.ndarray, score: np.ndarray) -> float:
    """Gini of the paper's code (arXiv 1912.07753): customers one by one, best score first."""
    ordered = actual[np.argsort(-score, kind="stable")]
    return float((np.cumsum(ordered) / ordered.sum()).sum() - (len(actual) + 1) / 2) / len(actual)


def test_metrics_by_a_second_route() -> None:
    actual, predicted = shop()
    found = value_metrics(actual, predicted)
    error = predicted - actual
    order = np.argsort(predicted)
    deciles = [(actual[part].mean(), predicted[part].mean()) for part in np.array_split(order, 10)]
    expected = {
        "mae": np.abs(error).mean(),
        "rmse": np.sqrt((error**2).mean()),
        "r2": 1 - (error**2).sum() / ((actual - actual.mean()) ** 2).sum(),
        "spearman": stats.spearmanr(actual, predicted).statistic,
        "gini": step_gini(actual, predicted) / step_gini(actual, actual),
        "decile_mape": np.mean([abs(p - a) / a for a, p in deciles]),
        "top_decile_share": actual[order[-100:]].sum() / actual.sum(),
        "bias": predicted.sum() / actual.sum(),
    }
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-9)


def test_perfect_predictions() -> None:
    actual, _ = shop()
    found = value_metrics(actual, actual, {0.8: (actual, actual)})
    perfect = {
        "mae": 0,
        "rmse": 0,
        "r2": 1,
        "spearman": 1,
        "gini": 1,
        "decile_mape": 0,
        "bias": 1,
        "coverage_80": 1,
    }
    assert {name: found[name] for name in perfect} == pytest.approx(perfect, abs=1e-12)


def test_reversed_predictions() -> None:
    actual = np.arange(1.0, 101.0)
    found = value_metrics(actual, actual[::-1].copy())
    assert (found["spearman"], found["gini"]) == pytest.approx((-1.0, -1.0))
    assert found["top_decile_share"] == pytest.approx(55.0 / 5050.0)


def test_constant_prediction_shares_all_ranks() -> None:
    actual = np.array([0.0, 0.0, 1.0, 3.0])
    found = value_metrics(actual, np.ones(4))
    assert found["spearman"] is None
    assert (
        found["gini"] == 0.0 and found["r2"] == 0.0 and found["decile_mape"] == pytest.approx(0.0)
    )
    assert found["top_decile_share"] == pytest.approx(0.1)


def test_undefined_metrics_are_none() -> None:
    nothing = value_metrics(np.zeros(5), np.arange(5.0))
    assert {name for name, value in nothing.items() if value is not None} == {"mae", "rmse"}
    alike = value_metrics(np.full(5, 0.1), np.arange(5.0))
    assert {name for name, value in alike.items() if value is None} == {"r2", "spearman", "gini"}
    one = value_metrics(np.array([3.0]), np.array([1.5]))
    assert {name for name, value in one.items() if value is None} == {"r2", "spearman", "gini"}
    assert one["decile_mape"] == 0.5 and one["bias"] == 0.5


def test_deciles_without_spend_are_left_out() -> None:
    actual = np.concatenate([np.zeros(50), np.full(50, 2.0)])
    predicted = np.concatenate([np.linspace(0, 1, 50), np.linspace(2.9, 3.1, 50)])
    assert value_metrics(actual, predicted)["decile_mape"] == pytest.approx(0.5, rel=0.05)


def test_order_of_rows_does_not_matter_with_ties() -> None:
    actual, predicted = shop(1, 333)
    predicted = np.round(predicted / 20)
    shuffled = np.random.default_rng(0).permutation(333)
    assert value_metrics(actual[shuffled], predicted[shuffled]) == pytest.approx(
        value_metrics(actual, predicted)
    )


def test_coverage_counts_ends_as_inside() -> None:
    actual = np.array([1.0, 2.0, 3.0, 4.0])
    bounds = {0.8: (np.full(4, 2.0), np.full(4, 3.0)), 0.95: (np.zeros(4), np.full(4, 3.0))}
    found = value_metrics(actual, actual, bounds)
    assert (found["coverage_80"], found["coverage_95"]) == (0.5, 0.75)


@pytest.mark.parametrize("bad", [[1.0], [1.0, math.nan], [1.0, math.inf]])
def test_bad_values_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="must be|finite values"):
        value_metrics(np.array([1.0, 2.0]), np.array(bad))
    with pytest.raises(ValueError, match="n > 0"):
        value_metrics(np.array([]), np.array([]))


def test_weights_mean_the_same_as_repeated_rows() -> None:
    actual, predicted = shop(2, 97)
    predicted = np.round(predicted / 5)
    weights = np.random.default_rng(0).integers(0, 4, 97)
    repeated = value_metrics(np.repeat(actual, weights), np.repeat(predicted, weights))
    assert _weighted_metrics(
        _outcome(actual, predicted, {}), weights.astype(float)
    ) == pytest.approx(repeated)


def test_bootstrap_of_the_mean_error_against_its_standard_error() -> None:
    actual, predicted = shop(3, 2000)
    error = np.abs(predicted - actual)
    interval = bootstrap(actual, predicted, {0.8: (actual, actual)}, num_resamples=400, seed=1)
    assert interval["mae"] is not None
    standard_error = error.std() / math.sqrt(2000)
    assert interval["mae"] == pytest.approx(
        (error.mean() - 1.96 * standard_error, error.mean() + 1.96 * standard_error),
        abs=0.5 * standard_error,
    )
    assert interval["coverage_80"] == (1.0, 1.0)
    estimates = value_metrics(actual, predicted)
    for name in RANKED:
        ends, estimate = interval[name], estimates[name]
        assert ends is not None and estimate is not None and ends[0] < estimate < ends[1]
    assert interval == bootstrap(
        actual, predicted, {0.8: (actual, actual)}, num_resamples=400, seed=1
    )


def test_bootstrap_of_undefined_metrics_is_none() -> None:
    found = bootstrap(np.zeros(4), np.ones(4), num_resamples=5, seed=0)
    assert found["gini"] is None and found["bias"] is None and found["mae"] == (1.0, 1.0)
    assert (
        paired_difference(np.zeros(4), np.ones(4), np.ones(4), "r2", num_resamples=5, seed=0)
        is None
    )


def test_paired_difference_is_narrower_than_either_interval() -> None:
    actual, predicted = shop(4)
    found = paired_difference(
        actual, predicted + 1.0, predicted, "mae", num_resamples=200, seed=0, level=0.9
    )
    assert found is not None
    estimate, low, high = found
    assert estimate == pytest.approx(
        np.abs(predicted + 1 - actual).mean() - np.abs(predicted - actual).mean()
    )
    assert low <= estimate <= high
    alone = bootstrap(actual, predicted, num_resamples=200, seed=0, level=0.9)["mae"]
    assert alone is not None and high - low < 0.5 * (alone[1] - alone[0])
    same = paired_difference(actual, predicted, predicted, "gini", num_resamples=5, seed=0)
    assert same == (0.0, 0.0, 0.0)


def test_paired_difference_refuses_other_metrics() -> None:
    with pytest.raises(ValueError, match="metric is 'coverage_80'"):
        paired_difference(np.ones(2), np.ones(2), np.ones(2), "coverage_80", seed=0)
