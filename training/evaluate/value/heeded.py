"""The champion's forecast as it is served: where a customer's standing decides, that is what counts."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lifecycle.spend.models import STACKS
from lifecycle.value.said import heeded_spend
from lifecycle.value.standing import Standings
from training.evaluate.customers.standing import WindowStandings
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets


def as_served(
    forecasts: Mapping[str, Forecast], champion: str, sets: ExampleSets, rules: WindowStandings
) -> dict[str, Forecast]:
    """The forecasts in their order; all but the champion's are those of models alone, which competed."""
    served = STACKS if champion in STACKS else (champion,)
    return {
        name: _heeded(one, sets, rules) if name in served else one
        for name, one in forecasts.items()
    }


def _heeded(forecast: Forecast, sets: ExampleSets, rules: WindowStandings) -> Forecast:
    days = sets.horizon_days
    return replace(
        forecast,
        selection=heeded_spend(rules.test, sets.selection, forecast.selection, days),
        test=heeded_spend(rules.test, sets.test, forecast.test, days),
        backtest=_earlier(sets.backtest, forecast.backtest, rules.backtest),
        same_season=_earlier(sets.same_season, forecast.same_season, rules.same_season),
    )


def _earlier(
    window: ExampleSets | None, total: np.ndarray | None, rules: Standings | None
) -> np.ndarray | None:
    """None where the model was not in that window."""
    if window is None or total is None or rules is None:
        return total
    return heeded_spend(rules, window.test, total, window.horizon_days)
