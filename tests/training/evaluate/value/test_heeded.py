"""The champion's forecast as it is served, in every window that tells how far its total was off."""

from dataclasses import replace

import numpy as np
import pytest

from lifecycle.names import BGNBD, STACK
from lifecycle.value.standing import Returns, Standings
from tests.lifecycle.value.test_said import CANCELLED, RULES
from training.evaluate.customers.standing import WindowStandings
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.heeded import as_served
from training.evaluate.value.windows import ExampleSets

MODEL_SAYS = np.array([500.0])


def window(**earlier: ExampleSets) -> ExampleSets:
    return ExampleSets(CANCELLED, CANCELLED, CANCELLED, 90, **earlier)


def rules_of(share: float) -> Standings:
    """Of whoever cancelled lately this share comes back, and spends one order value, which is 30."""
    told = {"cancelled": Returns(share=(share, share), orders=1.0, num_rows=50)}
    return replace(RULES, returns={**RULES.returns, **told})


def test_every_window_hears_what_was_known_in_it() -> None:
    sets = window(backtest=window(), same_season=window())
    rules = WindowStandings(rules_of(0.1), rules_of(0.2), rules_of(0.3))
    alone = Forecast(MODEL_SAYS, MODEL_SAYS, 1.0, MODEL_SAYS, MODEL_SAYS)
    found = as_served({STACK: alone, BGNBD: alone}, STACK, sets, rules)
    served = found[STACK]
    assert served.backtest is not None and served.same_season is not None
    windows = served.selection, served.test, served.backtest, served.same_season
    assert [float(one[0]) for one in windows] == pytest.approx([3.0, 3.0, 6.0, 9.0])
    assert found[BGNBD] is alone, "what competes is what models say themselves"


def test_model_stays_away_from_windows_that_it_was_not_in() -> None:
    found = as_served(
        {STACK: Forecast(MODEL_SAYS, MODEL_SAYS, 1.0)}, STACK, window(), WindowStandings(RULES)
    )
    assert (found[STACK].backtest, found[STACK].same_season) == (None, None)
