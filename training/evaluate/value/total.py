"""How far the total that the champion expects of all customers may be off, by windows that it had not seen.

Errors of single customers cancel in a total; what is left is what all of them share: a season, a trend, a price.
Customers drawn again from one window show nothing of that, so the total is not given the interval that independent
customers would give it. The windows do show it: in each the whole total was off by some factor. The logarithms of
these factors are taken for draws from one normal distribution around 0, of which there are K. Then that of the next
window lies, at `level`, within t(K) times their root mean square, with the quantile t of K degrees of freedom: few
windows make a wide interval. It is never narrower than chance among the test customers alone, or what is not known of
the season, would make it.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from scipy.stats import norm, t

from lifecycle.metrics.value import bootstrap
from lifecycle.value.standing import standing_of
from training.evaluate.served import Served
from training.evaluate.value.forecasts import Forecast, bias_of, spread_of_biases
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import TotalError, TotalWindow

LEVEL = 0.8


def total_error(
    forecast: Forecast, sets: ExampleSets, served: Served, num_resamples: int, seed: int
) -> TotalError:
    """`total_error` of metrics.json, from the test and the windows before it that the champion was in.

    `forecast` is the champion's as it is served. What is not known of the season of what serves counts
    for the spend that the season touches.
    """
    windows = [
        _window(name, there, predicted, num_resamples, seed)
        for name, there, predicted in (
            *forecast.before_the_test(sets),
            ("test", sets, forecast.test),
        )
    ]
    season = served.artifact.models.season
    share = season_share(served.known, served.spend)
    return error_of(windows, share * _spread_of((season.low, season.high)))


def season_share(known: pl.DataFrame, spend: np.ndarray) -> float:
    """The share of the expected spend that is of customers without a standing: all others know no season."""
    total = float(spend.sum())
    is_free = standing_of(known) == ""
    return float(spend[is_free].sum()) / total if total > 0 else 1.0


def error_of(windows: Sequence[TotalWindow], least: float = 0.0) -> TotalError:
    """The factors between which what comes lies, at LEVEL, as multiples of what is expected; the test is last.

    `least` is the standard deviation of the logarithm that is known of at any rate.
    """
    biases = [window.bias for window in windows if window.bias]
    shared = spread_of_biases(biases)
    if shared is None:
        return TotalError(level=LEVEL, low=None, high=None, windows=list(windows))
    spread = max(shared, _spread_of(windows[-1].bias_interval), least)
    reach = float(t.ppf(0.5 + LEVEL / 2.0, len(biases))) * spread
    return TotalError(
        level=LEVEL, low=float(np.exp(-reach)), high=float(np.exp(reach)), windows=list(windows)
    )


def _window(
    name: str, sets: ExampleSets, predicted: np.ndarray, num_resamples: int, seed: int
) -> TotalWindow:
    cutoff = sets.test["cutoff"][0]
    actual = target_of(sets.test)
    chance = bootstrap(actual, predicted, num_resamples=num_resamples, seed=seed)
    return TotalWindow(
        window=name,
        cutoff=str(cutoff.date()),
        until=str((cutoff + timedelta(days=sets.horizon_days)).date()),
        predicted=float(predicted.sum()),
        actual=float(actual.sum()),
        bias=bias_of(predicted, sets),
        bias_interval=chance["bias"],
    )


def _spread_of(interval: tuple[float | None, float | None] | None) -> float:
    """The standard deviation of a logarithm by a 95 % interval, 0 where it is not known."""
    low, high = interval or (None, None)
    if low is None or high is None or not low > 0:
        return 0.0
    return float(np.log(high / low) / (2.0 * norm.ppf(0.975)))
