"""On whom intervals are calibrated, and what is said of them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import btyd_churn, btyd_log_variance
from lifecycle.spend.models import SpendModels
from lifecycle.value.outcomes import UNKNOWN_VARIANCE
from tests.builders import BTYD, customer
from tests.training.evaluate.value.forecasts import sets_of
from training.evaluate.value.cheap import Fits
from training.evaluate.value.forecasts import Forecast, Leaving
from training.evaluate.value.outcomes import (
    MIN_LATEST,
    Fitted,
    known_outcomes,
    outcomes_of_test,
)
from training.evaluate.value.windows import ExampleSets

HORIZON = 60
SPENT = np.array([0.0, 10.0, 20.0])
WITHOUT = SpendModels(HORIZON, {}, {})
WITH = SpendModels(HORIZON, {"bgnbd_gg": BTYD}, {})
FORECAST = Forecast(SPENT + 1, SPENT + 2, 10.0, backtest=np.array([5.0, 5.0, 5.0]))
LEAVING = Leaving(np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6]), np.array([0.7, 0.8, 0.9]))


def fitted(horizon_days: int, leaving: Leaving | None) -> Fitted:
    """Three customers in every window, those of the backtest over a horizon of their own."""
    earlier = replace(sets_of(SPENT, 2 * SPENT), horizon_days=horizon_days)
    sets = replace(sets_of(SPENT, SPENT), backtest=earlier)
    return Fitted(sets, Fits(WITHOUT, WITHOUT, WITHOUT, None), leaving)


def test_customers_of_the_backtest_calibrate_and_their_total_is_brought_to_what_came() -> None:
    known = known_outcomes(fitted(HORIZON, LEAVING), "lightgbm", FORECAST)
    assert known.window == "backtest"
    assert known.actual.tolist() == [0.0, 20.0, 40.0]
    assert known.outcomes.expected.tolist() == [20.0, 20.0, 20.0]
    assert known.outcomes.nothing.tolist() == [0.7, 0.8, 0.9]


def test_how_far_totals_were_off_before_the_test_is_a_doubt() -> None:
    """Expected are 15 of the 60 of the backtest and 120 of the 30 of the season before; the test does not count."""
    one = fitted(HORIZON, None)
    assert known_outcomes(one, "lightgbm", FORECAST).doubt == pytest.approx(np.log(4.0))
    year_ago = replace(one, sets=replace(one.sets, same_season=sets_of(SPENT, SPENT)))
    there = replace(FORECAST, same_season=np.full(3, 40.0), test=np.full(3, 1e6))
    assert known_outcomes(year_ago, "lightgbm", there).doubt == pytest.approx(np.log(4.0))
    right = replace(there, same_season=np.full(3, 10.0))
    assert known_outcomes(year_ago, "lightgbm", right).doubt == pytest.approx(
        np.log(4.0) / np.sqrt(2.0)
    )


def test_a_window_in_which_nobody_spent_tells_no_doubt() -> None:
    silent = fitted(HORIZON, None)
    empty = replace(sets_of(SPENT, 0.0 * SPENT), horizon_days=HORIZON)
    silent = replace(silent, sets=replace(silent.sets, backtest=empty))
    assert known_outcomes(silent, "lightgbm", FORECAST).doubt == 0.0


@pytest.mark.parametrize(
    ("horizon_days", "forecast"),
    [(30, FORECAST), (HORIZON, replace(FORECAST, backtest=None))],
)
def test_selection_customers_do_where_the_backtest_is_shorter_or_the_model_was_not_there(
    horizon_days: int, forecast: Forecast
) -> None:
    known = known_outcomes(fitted(horizon_days, LEAVING), "lightgbm", forecast)
    assert known.window == "selection"
    assert known.actual.tolist() == SPENT.tolist()
    assert known.outcomes.expected.tolist() == (SPENT + 1).tolist()
    assert known.outcomes.nothing.tolist() == [0.1, 0.2, 0.3]
    assert known.doubt == 0.0


@pytest.mark.parametrize(("latest", "used"), [(MIN_LATEST, MIN_LATEST), (399, 799)])
def test_of_selection_customers_the_latest_do_where_they_are_enough(latest: int, used: int) -> None:
    sets = sets_of(np.arange(latest + 400.0), SPENT)
    is_late = pl.Series(np.arange(sets.selection.height) < latest)
    earlier = pl.when(is_late).then(0).otherwise(1) * pl.lit(timedelta(days=HORIZON))
    sets = replace(sets, selection=sets.selection.with_columns(pl.col("cutoff") - earlier))
    forecast = Forecast(np.arange(latest + 400.0) + 0.5, SPENT, 10.0)
    known = known_outcomes(
        Fitted(sets, Fits(WITHOUT, WITHOUT, None, None), None), "stack", forecast
    )
    assert len(known.actual) == len(known.outcomes.expected) == used
    np.testing.assert_array_equal(known.outcomes.expected, known.actual + 0.5)


def test_btyd_says_how_spend_varies_and_without_a_model_of_leaving_who_leaves() -> None:
    rows = pl.concat([customer(), customer(num_order_days=9.0, btyd_frequency=8.0)])
    sets = ExampleSets(rows, rows, rows, HORIZON)
    forecast = Forecast(SPENT[1:], SPENT[1:], 10.0)
    found = outcomes_of_test(Fitted(sets, Fits(WITH, WITH, None, None), None), "lightgbm", forecast)
    np.testing.assert_array_equal(found.nothing, btyd_churn(BTYD, rows, HORIZON))
    np.testing.assert_array_equal(found.log_variance, btyd_log_variance(BTYD, rows, HORIZON))
    alone = outcomes_of_test(
        Fitted(sets, Fits(WITHOUT, WITHOUT, None, None), None), "stack", forecast
    )
    assert alone.nothing.tolist() == [0.0, 0.0]
    assert alone.log_variance.tolist() == [UNKNOWN_VARIANCE] * 2
