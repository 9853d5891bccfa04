"""What a model expects of the windows of customers, and how that was judged."""

from dataclasses import dataclass

import numpy as np

from lifecycle.value.intervals import Intervals
from lifecycle.value.outcomes import Outcomes
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


@dataclass(frozen=True)
class Judged:
    """A forecast with its intervals, and how both did on the test customers."""

    forecast: Forecast
    outcomes: Outcomes  # of the test customers, before calibration
    intervals: Intervals
    calibrated_on: str
    metrics: ModelMetrics
    draws: dict[str, np.ndarray]  # of each metric on resampled test customers
