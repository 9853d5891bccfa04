"""Metrics of value predictions, with bootstrap intervals over customers.

Where a metric is undefined (no spend at all, everybody alike) it is None, never NaN. Customers with
equal predictions share their ranks and are split over deciles in equal parts, so that the order of
rows never matters.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Bounds = Mapping[float, tuple[np.ndarray, np.ndarray]]
Metrics = dict[str, float | None]
NUM_DECILES = 10
PAIRED_METRICS = (
    "mae",
    "rmse",
    "r2",
    "spearman",
    "gini",
    "decile_mape",
    "top_decile_share",
    "bias",
)


@dataclass(frozen=True)
class Outcome:
    """Actual and predicted values (n,) with what does not change between resamples.

    `actual_group` and `predicted_group` number the distinct values in ascending order; `inside`
    says by metric name which customers lie within their bounds.
    """

    actual: np.ndarray
    predicted: np.ndarray
    actual_group: np.ndarray
    predicted_group: np.ndarray
    inside: dict[str, np.ndarray]


def value_metrics(
    actual: np.ndarray, predicted: np.ndarray, bounds: Bounds | None = None
) -> Metrics:
    """mae, rmse, r2, spearman, gini, decile_mape, top_decile_share, bias; coverage_80 and so on for bounds by level.

    gini is normalised: 1 for the order of the actual values, 0 for chance. decile_mape is the mean
    over tenths by prediction of |mean predicted - mean actual| / mean actual, without tenths whose
    actual is 0. top_decile_share is the share of actual value held by the tenth predicted highest.
    bias is sum(predicted) / sum(actual). Raises ValueError for no customers, unequal lengths or
    values that are not finite.
    """
    outcome = _outcome(actual, predicted, bounds or {})
    return _weighted_metrics(outcome, np.ones(len(outcome.actual)))


def bootstrap(
    actual: np.ndarray,
    predicted: np.ndarray,
    bounds: Bounds | None = None,
    *,
    num_resamples: int = 500,
    seed: int,
    level: float = 0.95,
) -> dict[str, tuple[float, float] | None]:
    """Percentile interval of every metric over resampled customers; resamples where it is undefined are left out."""
    draws = bootstrap_draws(actual, predicted, bounds, num_resamples=num_resamples, seed=seed)
    return {name: percentile_interval(of_metric, level) for name, of_metric in draws.items()}


def bootstrap_draws(
    actual: np.ndarray,
    predicted: np.ndarray,
    bounds: Bounds | None = None,
    *,
    num_resamples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Every metric in each resample of the customers, shape (num_resamples,), NaN where it is undefined.

    One seed draws the same customers for every model, so the draws of two models are paired.
    """
    outcome = _outcome(actual, predicted, bounds or {})
    draws = [
        _weighted_metrics(outcome, weights)
        for weights in resamples(len(actual), num_resamples, seed)
    ]
    return {name: np.array([draw[name] for draw in draws], dtype=np.float64) for name in draws[0]}


def percentile_interval(draws: np.ndarray, level: float) -> tuple[float, float] | None:
    """The middle `level` of the draws that are not NaN; None where all are."""
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def paired_difference(
    actual: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    metric: str,
    *,
    num_resamples: int = 500,
    seed: int,
    level: float = 0.95,
) -> tuple[float, float, float] | None:
    """metric(a) - metric(b) on the same customers with its percentile interval (estimate, low, high).

    None where the metric is undefined. Raises ValueError for a metric that needs more than
    predictions.
    """
    if metric not in PAIRED_METRICS:
        raise ValueError(
            f"metric is {metric!r}; a paired difference knows {', '.join(PAIRED_METRICS)}"
        )
    ours = value_metrics(actual, a)[metric]
    others = value_metrics(actual, b)[metric]
    draws = [
        bootstrap_draws(actual, model, num_resamples=num_resamples, seed=seed)[metric]
        for model in (a, b)
    ]
    return difference_of_draws(ours, others, draws[0], draws[1], level)


def difference_of_draws(
    a: float | None, b: float | None, draws_a: np.ndarray, draws_b: np.ndarray, level: float
) -> tuple[float, float, float] | None:
    """A metric of one model minus that of another, with the interval of their paired draws; None where undefined."""
    interval = percentile_interval(draws_a - draws_b, level)
    return None if a is None or b is None or interval is None else (a - b, *interval)


def interval_score(actual: np.ndarray, low: np.ndarray, high: np.ndarray, level: float) -> float:
    """Mean width, plus 2 / (1 - level) times the mean distance outside; less is better (Gneiting and Raftery 2007)."""
    outside = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
    return float(np.mean(high - low + 2.0 / (1.0 - level) * outside))


def _outcome(actual: np.ndarray, predicted: np.ndarray, bounds: Bounds) -> Outcome:
    actual = np.asarray(actual, dtype=np.float64)
    predicted = np.asarray(predicted, dtype=np.float64)
    if actual.ndim != 1 or actual.shape != predicted.shape or not len(actual):
        raise ValueError(
            f"actual is {actual.shape} and predicted {predicted.shape}; both must be (n,) with n > 0"
        )
    for name, values in (("actual", actual), ("predicted", predicted)):
        if not np.isfinite(values).all():
            raise ValueError(
                f"{name} holds {values[~np.isfinite(values)][0]}; metrics need finite values"
            )
    inside = {
        f"coverage_{round(100 * level)}": ((actual >= low) & (actual <= high)).astype(np.float64)
        for level, (low, high) in bounds.items()
    }
    return Outcome(actual, predicted, _group(actual), _group(predicted), inside)


def _group(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def _weighted_metrics(outcome: Outcome, weights: np.ndarray) -> Metrics:
    """All metrics where customer i occurs weights[i] times. Sums avoid BLAS, whose threads cost more than they add."""
    num_customers = weights.sum()
    error = outcome.predicted - outcome.actual
    value = weights * outcome.actual
    total = float(value.sum())
    mean_square = float((weights * error**2).sum() / num_customers)
    variance = float(
        (weights * (outcome.actual - total / num_customers) ** 2).sum() / num_customers
    )
    actual_ranks = _centred_ranks(outcome.actual_group, weights)
    predicted_ranks = _centred_ranks(outcome.predicted_group, weights)
    best_area = float((actual_ranks * value).sum())
    return {
        "mae": float((weights * np.abs(error)).sum() / num_customers),
        "rmse": math.sqrt(mean_square),
        "r2": 1.0 - mean_square / variance if best_area else None,
        "spearman": _correlation(actual_ranks, predicted_ranks, weights),
        "gini": float((predicted_ranks * value).sum()) / best_area if best_area else None,
        **_decile_metrics(outcome, weights),
        "bias": float((weights * outcome.predicted).sum()) / total if total > 0 else None,
        **{
            name: float((weights * inside).sum() / num_customers)
            for name, inside in outcome.inside.items()
        },
    }


def _centred_ranks(group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mid-rank of each customer less the mean rank, exactly 0 where all who occur are alike.

    Their product with the actual values is the area between Lorenz curve and diagonal, up to a
    factor.
    """
    counts = np.bincount(group, weights=weights)
    ranks: np.ndarray = np.cumsum(counts) - counts / 2.0 - weights.sum() / 2.0
    by_customer: np.ndarray = ranks[group]
    return by_customer


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float | None:
    """Pearson's correlation of centred values."""
    variances = float((weights * a**2).sum()) * float((weights * b**2).sum())
    return float((weights * a * b).sum()) / math.sqrt(variances) if variances else None


def _decile_metrics(outcome: Outcome, weights: np.ndarray) -> Metrics:
    """A customer on the border of two tenths is divided between them."""
    counts = np.bincount(outcome.predicted_group, weights=weights)
    actual = _of_tenths(outcome.actual, outcome.predicted_group, weights, counts)
    predicted = _of_tenths(outcome.predicted, outcome.predicted_group, weights, counts)
    total = actual.sum()
    spent = actual > 0
    errors = np.abs(predicted - actual)[spent] / actual[spent]
    return {
        "decile_mape": float(errors.mean()) if spent.any() else None,
        "top_decile_share": float(actual[-1] / total) if total > 0 else None,
    }


def _of_tenths(
    values: np.ndarray, group: np.ndarray, weights: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Sums over the tenths of customers by group, lowest first, shape (10,); `counts` are those of the groups."""
    customers = np.concatenate([[0.0], np.cumsum(counts)])
    sums = np.concatenate([[0.0], np.cumsum(np.bincount(group, weights=weights * values))])
    borders = customers[-1] * np.arange(NUM_DECILES + 1) / NUM_DECILES
    return np.diff(np.interp(borders, customers, sums))


def resamples(num_customers: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each customer is drawn, shape (n,), in each resample of as many customers."""
    random = np.random.default_rng(seed)
    for _ in range(num_resamples):
        drawn = random.integers(0, num_customers, num_customers)
        yield np.bincount(drawn, minlength=num_customers).astype(np.float64)
