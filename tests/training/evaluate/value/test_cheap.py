"""What the models that fit in seconds are fitted on, and shops where some of them cannot be fitted."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lifecycle.names import BTYD_MODELS, VALUE_MODELS
from lifecycle.spend.trees import LightGbm
from tests.builders import TinyShop, past
from training.evaluate.value.cheap import cheap_forecasts
from training.evaluate.value.windows import ExampleSets, read_example_sets


def test_backtest_knows_nothing_of_what_came_after(tiny_shop: TinyShop) -> None:
    sets = read_example_sets(tiny_shop.examples)
    assert sets.backtest is not None
    shuffled = [
        rows.with_columns(pl.col("target").shuffle(seed=1))
        for rows in (sets.train, sets.selection, sets.test)
    ]
    judged = sets.backtest.test.with_columns(pl.col("target").shuffle(seed=1))
    changed = ExampleSets(
        *shuffled, sets.horizon_days, sets.scale, replace(sets.backtest, test=judged)
    )
    models = ("persistence", "bgnbd_gg", "lightgbm", "hurdle", "stack")
    once, again = (cheap_forecasts(each, models, seed=0)[0] for each in (sets, changed))
    for name in models:
        np.testing.assert_array_equal(once[name].backtest, again[name].backtest)
    assert not np.array_equal(once["lightgbm"].test, again["lightgbm"].test)


def test_selection_customers_are_unknown_to_the_models_they_judge(tiny_shop: TinyShop) -> None:
    sets = read_example_sets(tiny_shop.examples)
    assert not set(sets.train["customer_id"]) & set(sets.selection["customer_id"])
    entries, fitted = cheap_forecasts(sets, VALUE_MODELS, seed=0)
    assert tuple(entries) == VALUE_MODELS and tuple(fitted.btyd) == BTYD_MODELS
    without = LightGbm.fit(past(sets.train), seed=0)
    np.testing.assert_array_equal(
        entries["lightgbm"].selection, without.expected_spend(sets.selection)
    )
    np.testing.assert_array_equal(
        entries["lightgbm"].test, fitted.expected_spend("lightgbm", sets.test)
    )


def test_stack_brings_the_bgnbd_that_it_starts_from(tiny_shop: TinyShop) -> None:
    sets = read_example_sets(tiny_shop.examples)
    entries, fitted = cheap_forecasts(sets, ("pareto_nbd_gg", "stack"), seed=0)
    assert list(entries) == ["pareto_nbd_gg", "stack"]
    assert fitted.stack is not None and fitted.btyd["bgnbd_gg"] == fitted.stack.btyd


def test_outcomes_of_the_test_window_change_no_prediction(tiny_shop: TinyShop) -> None:
    sets = read_example_sets(tiny_shop.examples)
    shuffled = sets.test.with_columns(pl.col("target").shuffle(seed=1), num_orders_ahead=pl.lit(0))
    changed = ExampleSets(sets.train, sets.selection, shuffled, 60, sets.scale)
    for name, one in cheap_forecasts(sets, VALUE_MODELS, seed=0)[0].items():
        other = cheap_forecasts(changed, (name,), seed=0)[0][name]
        np.testing.assert_array_equal(one.test, other.test)
        np.testing.assert_array_equal(one.selection, other.selection)


def test_shop_without_repeat_customers_or_money_keeps_what_can_be_fitted(
    tiny_shop: TinyShop, caplog: pytest.LogCaptureFixture
) -> None:
    sets = read_example_sets(tiny_shop.examples)
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
    entries, fitted = cheap_forecasts(ExampleSets(*poor, horizon_days=60), VALUE_MODELS, seed=0)
    assert list(entries) == ["persistence"]
    assert fitted.btyd == {} and list(fitted.single) == ["persistence"]
    assert (
        "left out: bgnbd_gg, mbgnbd_gg, pareto_nbd_gg" in caplog.text
        and "left out: lightgbm, hurdle, ziln, stack, since no training row spends" in caplog.text
    )
