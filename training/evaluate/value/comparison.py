"""Models compared on the customers of one window before the test cutoff."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lifecycle.metrics.value import bootstrap, value_metrics
from lifecycle.names import STACK, STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA
from lifecycle.spend.blend import is_clearly_better
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import BacktestWindow, WindowMetrics

BIAS_RANGE = (0.9, 1.1)
LEAST_TO_TELL = 3  # models, of what they share


@dataclass(frozen=True)
class Comparison:
    """Models on the same customers of one window before the test cutoff."""

    where: str  # as the rule tells it
    actual: np.ndarray
    predicted: dict[str, np.ndarray]
    rows: dict[str, WindowMetrics]

    def shared_bias(self) -> float:
        """The median bias of the better half of the models by RMSE, of three at least; the stack counts once.

        Of all it would be that of one kind of models that is wrong, where half are of that kind. 1
        where fewer than three cannot tell model and season.
        """
        again = {STACK_OVER_BUDGET}
        if STACK in self.rows:
            again.add(STACK_WITHOUT_LLAMA)
        known = [name for name in self.rows if name not in again and self._bias(name)]
        if len(known) < LEAST_TO_TELL:
            return 1.0
        half = max(LEAST_TO_TELL, math.ceil(len(known) / 2))
        better = sorted(known, key=self._error)[:half]
        return float(np.median([self.rows[name].bias for name in better]))

    def is_fair(self, name: str, shared: float) -> bool:
        """Whether a model's bias, over that which the better half share, may lie in BIAS_RANGE."""
        interval = self.rows[name].bias_interval
        if interval is None:
            return False
        low, high = interval
        return high >= shared * BIAS_RANGE[0] and low <= shared * BIAS_RANGE[1]

    def candidates(self, names: list[str], shared: float) -> list[str]:
        """Those of fair bias, else the fairest, else all."""
        fair = [name for name in names if self.is_fair(name, shared)]
        distances = {}
        for name in names:
            bias = self._bias(name)
            if bias is not None:  # which it is where nobody spent anything
                distances[name] = abs(bias / shared - 1.0)
        fairest = sorted(distances, key=lambda name: distances[name])[:1]
        return fair or fairest or names

    def best(self, names: list[str]) -> tuple[str, list[str] | None]:
        """Which is chosen, and which are clearly better than the stack among them; None without one."""
        stack = next((name for name in (STACK, STACK_WITHOUT_LLAMA) if name in names), None)
        better = None
        if stack is not None:
            theirs = self.predicted[stack]
            better = [
                name
                for name in names
                if is_clearly_better(self.predicted[name], theirs, self.actual)
            ]
            names = better or [stack]
        return min(names, key=self._error), better

    def _bias(self, name: str) -> float | None:
        return self.rows[name].bias

    def _error(self, name: str) -> tuple[float, float]:
        return self.rows[name].rmse, self.rows[name].decile_mape or 0.0


def on_selection(
    forecasts: Mapping[str, Forecast], sets: ExampleSets, num_resamples: int, seed: int
) -> Comparison:
    """All models on the selection customers."""
    predicted = {name: one.selection for name, one in forecasts.items()}
    actual = target_of(sets.selection)
    rows = _rows(predicted, actual, num_resamples, seed)
    return Comparison("on the selection customers", actual, predicted, rows)


def in_backtest(
    forecasts: Mapping[str, Forecast], backtest: ExampleSets, num_resamples: int, seed: int
) -> Comparison:
    """The models that were there on the test customers of the backtest."""
    predicted = {name: one.backtest for name, one in forecasts.items() if one.backtest is not None}
    return _on_test(predicted, backtest, num_resamples, seed)


def in_same_season(
    forecasts: Mapping[str, Forecast], same_season: ExampleSets, num_resamples: int, seed: int
) -> Comparison:
    """Likewise a year before the test cutoff."""
    predicted = {
        name: one.same_season for name, one in forecasts.items() if one.same_season is not None
    }
    return _on_test(predicted, same_season, num_resamples, seed)


def _on_test(
    predicted: dict[str, np.ndarray], sets: ExampleSets, num_resamples: int, seed: int
) -> Comparison:
    actual = target_of(sets.test)
    where = f"in the backtest at {_cutoff_of(sets)} over {sets.horizon_days} days"
    return Comparison(where, actual, predicted, _rows(predicted, actual, num_resamples, seed))


def pooled(windows: list[Comparison], num_resamples: int, seed: int) -> Comparison:
    """The models that were in all windows on the customers of all, each window's spend over its mean."""
    scales = [1.0 / max(float(window.actual.mean()), 1e-9) for window in windows]
    names = [name for name in windows[0].rows if all(name in window.rows for window in windows)]
    actual = np.concatenate(
        [scale * window.actual for scale, window in zip(scales, windows, strict=True)]
    )
    predicted = {}
    for name in names:
        parts = [
            scale * window.predicted[name] for scale, window in zip(scales, windows, strict=True)
        ]
        predicted[name] = np.concatenate(parts)
    where = " and ".join(window.where for window in windows)
    return Comparison(where, actual, predicted, _rows(predicted, actual, num_resamples, seed))


def backtests_of(forecasts: Mapping[str, Forecast], sets: ExampleSets) -> list[BacktestWindow]:
    """The windows before the test cutoff, and who was there."""
    windows = []
    for earlier, is_same_season in ((sets.backtest, False), (sets.same_season, True)):
        if earlier is None:
            continue
        there = []
        for name, one in forecasts.items():
            then = one.same_season if is_same_season else one.backtest
            if then is not None:
                there.append(name)
        window = BacktestWindow(
            cutoff=_cutoff_of(earlier),
            horizon_days=earlier.horizon_days,
            is_same_season=is_same_season,
            models=there,
        )
        windows.append(window)
    return windows


def _cutoff_of(sets: ExampleSets) -> str:
    return str(sets.test["cutoff"][0].date())


def _rows(
    predicted: dict[str, np.ndarray], actual: np.ndarray, num_resamples: int, seed: int
) -> dict[str, WindowMetrics]:
    rows: dict[str, WindowMetrics] = {}
    for name, values in predicted.items():
        intervals = bootstrap(actual, values, num_resamples=num_resamples, seed=seed)
        rows[name] = WindowMetrics.model_validate(
            {**value_metrics(actual, values), "bias_interval": intervals["bias"]}
        )
    return rows
