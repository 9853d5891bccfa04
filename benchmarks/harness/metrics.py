"""How benchmarks judge models of value."""

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from lifecycle.metrics.value import value_metrics
from training.results.value import ModelMetrics, SpendMetrics

METRICS = ("mae", "rmse", "gini", "decile_mape", "bias")
Metrics = dict[str, float]


def metrics_by_model(actual: np.ndarray, predicted: Mapping[str, np.ndarray]) -> dict[str, Metrics]:
    """METRICS of each model's predictions (n,); 0 where one is undefined."""
    return {model: _metrics(actual, values) for model, values in predicted.items()}


def _metrics(actual: np.ndarray, predicted: np.ndarray) -> Metrics:
    found = value_metrics(actual, predicted)
    return {metric: float(found[metric] or 0.0) for metric in METRICS}


def shown(model: ModelMetrics | SpendMetrics, metrics: tuple[str, ...]) -> dict[str, float | None]:
    """Some metrics of a model that the arena judged."""
    return {metric: getattr(model, metric) for metric in metrics}


def mean_metrics(rows: Iterable[Metrics]) -> Metrics:
    """The mean of each metric over draws or shops."""
    table = pl.DataFrame(list(rows))
    return {metric: float(np.mean(table[metric].to_numpy())) for metric in table.columns}


def geometric_mean(ratios: Iterable[float]) -> float:
    """As ratios are averaged."""
    return float(np.exp(np.mean(np.log(list(ratios)))))
