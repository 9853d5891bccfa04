"""What each model makes of the windows of customers."""

from dataclasses import dataclass, field

import numpy as np

from lifecycle.value.intervals import Intervals


@dataclass(frozen=True)
class Leaving:
    """Probabilities of buying nothing within the horizon, shape (n,), of the customers that Entry names."""

    selection: np.ndarray
    test: np.ndarray
    backtest: np.ndarray | None = None


@dataclass
class Entry:
    """One model in the arena: expected spend of selection and test customers, and its speed."""

    selection: np.ndarray
    test: np.ndarray
    customers_per_second: float
    backtest: np.ndarray | None = (
        None  # of the test customers of the backtest; None: it was not there
    )
    leaving: Leaving | None = (
        None  # None: the model says how much is spent, not whether anything is
    )
    intervals: Intervals | None = None
    metrics: dict[str, object] = field(default_factory=dict)
    draws: dict[str, np.ndarray] = field(
        default_factory=dict
    )  # of each metric on resampled test customers
