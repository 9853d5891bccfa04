"""Churn in the arena: chosen before the test cutoff, and served as it was judged."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.answers import examples_for, values_for
from lifecycle.artifact.files import load_artifact
from lifecycle.events.history import customers_at
from lifecycle.events.shards import read_shard, shard_paths
from tests.builders import NO_DATA, TinyShop
from training.evaluate.value.cheap import cheap_forecasts
from training.evaluate.value.churn import judge_churn
from training.evaluate.value.forecasts import Forecast, Leaving
from training.evaluate.value.windows import ExampleSets, read_example_sets

NOBODY = np.zeros(4)


def sets_of(left: list[int], earlier: list[int] | None = None) -> ExampleSets:
    """Customers of whom those with a 1 bought nothing, the same in selection and test."""
    rows = pl.DataFrame({"num_orders_ahead": [1 - one for one in left]})
    return ExampleSets(rows, rows, rows, 60, backtest=None if earlier is None else sets_of(earlier))


def entry(
    selection: list[float], test: list[float], backtest: list[float] | None = None
) -> Forecast:
    before = None if backtest is None else np.array(backtest)
    return Forecast(
        NOBODY, NOBODY, 1.0, leaving=Leaving(np.array(selection), np.array(test), before)
    )


def test_least_brier_score_before_the_test_cutoff_serves() -> None:
    sure, vague = entry([0.9, 0.1], [0.1, 0.9]), entry([0.6, 0.4], [0.9, 0.1])
    chosen, found = judge_churn({"sure": sure, "vague": vague}, sets_of([1, 0]), 20, 0)
    assert (
        chosen == "sure"
        and found is not None
        and found.rule == "least Brier score on the selection customers"
    )
    models = found.models
    assert models["sure"].brier > models["vague"].brier


def test_backtest_chooses_where_there_is_one() -> None:
    young, old = (
        entry([0.9, 0.1], [0.9, 0.1], [0.9, 0.1]),
        entry([0.6, 0.4], [0.9, 0.1], [0.2, 0.8]),
    )
    chosen, found = judge_churn(
        {"young": young, "old": old}, sets_of([1, 0], earlier=[0, 1]), 20, 0
    )
    assert (
        chosen == "old" and found is not None and found.rule == "least Brier score in the backtest"
    )


def test_models_that_say_nothing_of_churn_choose_nothing() -> None:
    assert judge_churn({"stack": Forecast(NOBODY, NOBODY, 1.0)}, sets_of([1, 0]), 20, 0) == (
        None,
        None,
    )


def test_probabilities_of_a_real_shop_say_something(tiny_shop: TinyShop) -> None:
    sets = read_example_sets(tiny_shop.examples)
    entries, _ = cheap_forecasts(sets, ("bgnbd_gg", "lightgbm", "hurdle"), 0, NO_DATA)
    assert {name for name, found in entries.items() if found.leaving is not None} == {
        "bgnbd_gg",
        "hurdle",
    }
    _, found = judge_churn(entries, sets, 20, 0)
    assert found is not None
    models = found.models
    for row in models.values():
        assert row.auroc is not None and row.auroc > 0.6
        assert row.ci.brier[0] <= row.brier <= row.ci.brier[1]


@pytest.mark.parametrize("model", ["hurdle", "bgnbd_gg"])
def test_what_was_judged_is_served(tiny_artifact: Path, tiny_shop: TinyShop, model: str) -> None:
    artifact = load_artifact(tiny_artifact)
    artifact = replace(artifact, settings=replace(artifact.settings, churn=model))
    sets = read_example_sets(tiny_shop.examples)
    judged = cheap_forecasts(sets, ("bgnbd_gg", "hurdle"), 0, NO_DATA)[0][model].leaving
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    cutoff = datetime(2024, 10, 30, tzinfo=UTC)
    customers = examples_for(artifact, events, customers_at(events, cutoff))
    values = values_for(
        artifact, customers, artifact.models.expected_spend("persistence", customers, {})
    )
    assert judged is not None
    expected = dict(zip(sets.test["customer_id"], judged.test, strict=True))
    np.testing.assert_allclose(
        values.churn_probability, [expected[name] for name in customers["customer_id"]]
    )
    assert (values.p_active >= 1.0 - values.churn_probability - 1e-12).all()


def test_without_btyd_who_will_buy_is_active(tiny_artifact: Path, tiny_shop: TinyShop) -> None:
    artifact = load_artifact(tiny_artifact)
    settings = replace(artifact.settings, champion="persistence", churn="hurdle")
    models = replace(artifact.models, btyd={})
    artifact = replace(artifact, models=models, settings=settings)
    customers = read_example_sets(tiny_shop.examples).test
    values = values_for(
        artifact, customers, artifact.models.expected_spend("persistence", customers, {})
    )
    np.testing.assert_allclose(values.p_active, 1.0 - values.churn_probability)
    assert 0.0 < values.churn_probability.min() < values.churn_probability.max() < 1.0
