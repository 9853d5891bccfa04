"""What the models that fit in seconds are fitted on, and shops where some of them cannot be fitted."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lifecycle.names import BTYD_MODELS, VALUE_MODELS
from lifecycle.spend.models import SpendModels
from lifecycle.spend.trees import LightGbm
from tests.builders import NO_DATA, TinyShop, past
from training.evaluate.value.cheap import cheap_forecasts
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets, read_example_sets


@pytest.fixture(scope="module")
def sets(tiny_shop: TinyShop) -> ExampleSets:
    return read_example_sets(tiny_shop.examples)


@pytest.fixture(scope="module")
def judged(sets: ExampleSets) -> tuple[dict[str, Forecast], SpendModels]:
    """What every cheap model forecasts, and the models."""
    forecasts, fits = cheap_forecasts(sets, VALUE_MODELS, 0, NO_DATA)
    return forecasts, fits.test


@pytest.mark.integration
def test_backtest_knows_nothing_of_what_came_after(
    sets: ExampleSets, judged: tuple[dict[str, Forecast], SpendModels]
) -> None:
    assert sets.backtest is not None
    shuffled = [
        rows.with_columns(pl.col("target").shuffle(seed=1))
        for rows in (sets.train, sets.selection, sets.test)
    ]
    later = sets.backtest.test.with_columns(pl.col("target").shuffle(seed=1))
    changed = ExampleSets(
        *shuffled, sets.horizon_days, sets.scale, replace(sets.backtest, test=later)
    )
    models = ("persistence", "bgnbd_gg", "lightgbm", "hurdle", "stack")
    again, _ = cheap_forecasts(changed, models, 0, NO_DATA)
    for name in models:
        np.testing.assert_array_equal(judged[0][name].backtest, again[name].backtest)
    assert not np.array_equal(judged[0]["lightgbm"].test, again["lightgbm"].test)


def test_selection_customers_are_unknown_to_the_models_they_judge(
    sets: ExampleSets, judged: tuple[dict[str, Forecast], SpendModels]
) -> None:
    assert not set(sets.train["customer_id"]) & set(sets.selection["customer_id"])
    entries, fitted = judged
    assert tuple(entries) == VALUE_MODELS and tuple(fitted.btyd) == BTYD_MODELS
    without = LightGbm.fit(past(sets.train), seed=0)
    np.testing.assert_array_equal(
        entries["lightgbm"].selection, without.expected_spend(sets.selection)
    )
    np.testing.assert_array_equal(
        entries["lightgbm"].test, fitted.expected_spend("lightgbm", sets.test)
    )


def test_stack_brings_the_bgnbd_that_it_starts_from(sets: ExampleSets) -> None:
    entries, fits = cheap_forecasts(sets, ("pareto_nbd_gg", "stack"), 0, NO_DATA)
    fitted = fits.test
    assert list(entries) == ["pareto_nbd_gg", "stack"]
    assert fitted.stack is not None and fitted.btyd["bgnbd_gg"] == fitted.stack.btyd


def test_outcomes_of_the_test_window_change_no_prediction(
    sets: ExampleSets, judged: tuple[dict[str, Forecast], SpendModels]
) -> None:
    shuffled = sets.test.with_columns(pl.col("target").shuffle(seed=1), num_orders_ahead=pl.lit(0))
    changed = ExampleSets(sets.train, sets.selection, shuffled, 60, sets.scale)
    for name, one in judged[0].items():
        other = cheap_forecasts(changed, (name,), 0, NO_DATA)[0][name]
        np.testing.assert_array_equal(one.test, other.test)
        np.testing.assert_array_equal(one.selection, other.selection)


def test_shop_without_repeat_customers_or_money_keeps_what_can_be_fitted(
    sets: ExampleSets, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {
        "btyd_frequency": 0.0,
        "btyd_recency": 0.0,
        "num_order_days": 1.0,
        "total_spend": 0.0,
        "target": 0.0,
    }
    poor = [
        rows.with_columns(pl.lit(value).alias(name) for name, value in changes.items())
        for rows in (sets.train, sets.selection, sets.test)
    ]
    poor_sets = ExampleSets(*poor, horizon_days=60)
    entries, fits = cheap_forecasts(poor_sets, VALUE_MODELS, 0, NO_DATA)
    fitted = fits.test
    assert list(entries) == ["persistence"]
    assert fitted.btyd == {} and list(fitted.single) == ["persistence"]
    assert (
        "left out: bgnbd_gg, mbgnbd_gg, pareto_nbd_gg" in caplog.text
        and "left out: lightgbm, hurdle, ziln, stack, since no training row spends" in caplog.text
    )
