"""The champion's forecast as it is served: where a customer's standing decides, that is what counts."""

from collections.abc import Mapping
from dataclasses import replace

from lifecycle.spend.models import STACKS
from lifecycle.value.said import heeded_spend
from lifecycle.value.standing import Standings
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets


def as_served(
    forecasts: Mapping[str, Forecast], champion: str, sets: ExampleSets, rules: Standings
) -> dict[str, Forecast]:
    """The forecasts in their order; all but the champion's are those of models alone, which competed."""
    served = STACKS if champion in STACKS else (champion,)
    return {
        name: _heeded(one, sets, rules) if name in served else one
        for name, one in forecasts.items()
    }


def _heeded(forecast: Forecast, sets: ExampleSets, rules: Standings) -> Forecast:
    days = sets.horizon_days
    backtest = forecast.backtest
    if sets.backtest is not None and backtest is not None:
        earlier = sets.backtest
        backtest = heeded_spend(rules, earlier.test, backtest, earlier.horizon_days)
    return replace(
        forecast,
        selection=heeded_spend(rules, sets.selection, forecast.selection, days),
        test=heeded_spend(rules, sets.test, forecast.test, days),
        backtest=backtest,
    )
