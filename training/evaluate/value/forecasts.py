"""What a model expects of the windows of customers, and how that was judged."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lifecycle.value.intervals import Intervals
from lifecycle.value.outcomes import Outcomes
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import ModelMetrics


@dataclass(frozen=True)
class Leaving:
    """Probabilities of buying nothing within the horizon, shape (n,), of the customers of a Forecast."""

    selection: np.ndarray
    test: np.ndarray
    backtest: np.ndarray | None = None


@dataclass(frozen=True)
class Forecast:
    """One model in the arena: expected spend of the customers of each window, and its speed."""

    selection: np.ndarray
    test: np.ndarray
    customers_per_second: float
    backtest: np.ndarray | None = None  # None: the model was not there
    same_season: np.ndarray | None = None  # likewise
    leaving: Leaving | None = None  # None: it says how much is spent, not whether anything is

    def before_the_test(self, sets: ExampleSets) -> list[tuple[str, ExampleSets, np.ndarray]]:
        """The earlier windows that the model was in: name, window, and what it expected of its customers."""
        windows = (
            ("same season", sets.same_season, self.same_season),
            ("backtest", sets.backtest, self.backtest),
        )
        return [
            (name, there, predicted)
            for name, there, predicted in windows
            if there is not None and predicted is not None
        ]


@dataclass(frozen=True)
class Judged:
    """A forecast with its intervals, and how both did on the test customers."""

    forecast: Forecast
    outcomes: Outcomes  # of the test customers, before calibration
    intervals: Intervals
    calibrated_on: str
    metrics: ModelMetrics
    draws: dict[str, np.ndarray]  # of each metric on resampled test customers


def bias_of(predicted: np.ndarray, sets: ExampleSets) -> float | None:
    """Expected over actual total of the customers of a window; None where nothing came."""
    came = float(target_of(sets.test).sum())
    return float(predicted.sum()) / came if came > 0 else None


def spread_of_biases(biases: Iterable[float | None]) -> float | None:
    """Root mean square of the logarithms of biases; None where there is none."""
    logarithms = [np.log(bias) for bias in biases if bias]
    return float(np.sqrt(np.mean(np.square(logarithms)))) if logarithms else None
