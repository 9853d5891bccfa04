"""How far the total that the champion expects of all customers may be off, by windows that it had not seen.

Errors of single customers cancel in a total; what is left is what all of them share: a season, a trend, a price.
Customers drawn again from one window show nothing of that, so the total is not given the interval that independent
customers would give it. The windows do show it: in each the whole total was off by some factor. The logarithms of
these factors are taken for draws from one normal distribution around 0, of which there are K. Then that of the next
window lies, at `level`, within t(K) times their root mean square, with the quantile t of K degrees of freedom: few
windows make a wide interval. It is never narrower than chance among the test customers alone would make it.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from scipy.stats import norm, t

from training.evaluate.value.forecasts import Judged
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import Selection, TotalError, TotalWindow

LEVEL = 0.8
BOOTSTRAP_LEVEL = 0.95  # of the intervals of metrics.json


def total_error(champion: Judged, name: str, selection: Selection, sets: ExampleSets) -> TotalError:
    """`total_error` of metrics.json, from the backtest, where the champion was in it, and the test."""
    windows = []
    before = (selection.backtest or {}).get(name)
    if before is not None and sets.backtest is not None and champion.forecast.backtest is not None:
        predicted = champion.forecast.backtest
        windows.append(_window("backtest", sets.backtest, predicted, before.bias_interval))
    interval = champion.metrics.ci.get("bias")
    windows.append(_window("test", sets, champion.forecast.test, interval))
    return error_of(windows)


def error_of(windows: Sequence[TotalWindow]) -> TotalError:
    """The factors between which what comes lies, at LEVEL, as multiples of what is expected; the test is last."""
    logarithms = [np.log(window.bias) for window in windows if window.bias]
    if not logarithms:
        return TotalError(level=LEVEL, low=None, high=None, windows=list(windows))
    shared = float(np.sqrt(np.mean(np.square(logarithms))))
    spread = max(shared, _chance(windows[-1]))
    reach = float(t.ppf(0.5 + LEVEL / 2.0, len(logarithms))) * spread
    return TotalError(
        level=LEVEL, low=float(np.exp(-reach)), high=float(np.exp(reach)), windows=list(windows)
    )


def _window(
    name: str, sets: ExampleSets, predicted: np.ndarray, interval: tuple[float, float] | None
) -> TotalWindow:
    cutoff = sets.test["cutoff"][0]
    came = float(target_of(sets.test).sum())
    expected = float(predicted.sum())
    return TotalWindow(
        window=name,
        cutoff=str(cutoff.date()),
        until=str((cutoff + timedelta(days=sets.horizon_days)).date()),
        predicted=expected,
        actual=came,
        bias=expected / came if came > 0 else None,
        bias_interval=interval,
    )


def _chance(window: TotalWindow) -> float:
    """The standard deviation of the logarithm of a bias among customers drawn again, 0 where it is not known."""
    if window.bias_interval is None or not window.bias_interval[0] > 0:
        return 0.0
    low, high = np.log(window.bias_interval)
    return float((high - low) / (2.0 * norm.ppf(0.5 + BOOTSTRAP_LEVEL / 2.0)))
