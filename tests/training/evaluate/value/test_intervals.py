"""Intervals as they are judged: of models, of segments and histories, and the same as are served."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.answers import values_for
from lifecycle.artifact.files import load_artifact
from lifecycle.spend.models import SpendModels
from lifecycle.value.costs import CostRate
from lifecycle.value.formula import ClvSettings
from tests.builders import TinyShop
from tests.training.evaluate.value.forecasts import sets_of
from training.evaluate.value.cheap import Fits
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.intervals import judge_intervals
from training.evaluate.value.judging import judge
from training.evaluate.value.outcomes import Fitted
from training.evaluate.value.windows import read_example_sets
from training.results.arena import Results

FREE = CostRate(0.0, is_learned=False)


def test_models_segments_and_histories_have_customers_coverage_and_margin() -> None:
    random = np.random.default_rng(0)
    expected = random.lognormal(3.0, 1.0, 6000)
    spent = expected * random.lognormal(-0.5, 1.0, 6000)
    sets = sets_of(spent[:2000], spent[2000:])
    days = np.resize([1.0, 2.0, 5.0, 6.0], 4000)
    sets = replace(sets, test=sets.test.with_columns(num_order_days=pl.Series(days)))
    models = SpendModels(60, {}, {})
    fitted = Fitted(sets, Fits(models, models, None, None), None)
    forecasts = {"stack": Forecast(expected[:2000], expected[2000:], 1.0)}
    judged = judge(forecasts, fitted, num_resamples=20, seed=0)
    found = judge_intervals(judged, sets, "stack", seed=0)
    assert found.calibrated_on == "selection"
    assert found.models["stack"].pit_coverage_80 == pytest.approx(0.8, abs=0.03)
    sizes = {name: group.num_customers for name, group in found.segments.items()}
    assert sizes == {"low": 2000, "middle": 1200, "high": 600, "top": 200}
    sizes = {name: group.num_customers for name, group in found.history.items()}
    assert sizes == {"one order day": 1000, "two to five": 2000, "six or more": 1000}
    for group in (*found.segments.values(), *found.history.values()):
        # Twice: customers who calibrate are few too.
        assert group.pit_coverage_80 == pytest.approx(0.8, abs=2 * group.margin_80)
        assert group.pit_coverage_95 == pytest.approx(0.95, abs=2 * group.margin_95)
    top = found.segments["top"]
    assert top.margin_80 == pytest.approx(2 * np.sqrt(0.8 * 0.2 / 200))
    assert found.segments["low"].margin_80 == 0.03


def test_intervals_of_the_arena_are_those_that_are_served(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    """Over one period as long as the horizon, without costs and discounting."""
    artifact = load_artifact(tiny_artifact)
    champion = artifact.settings.champion
    predictions = pl.read_parquet(tiny_artifact.parent / "predictions.parquet")
    told = predictions.filter(pl.col("model") == champion)
    test = read_example_sets(tiny_shop.examples).test
    assert test["customer_id"].equals(told["customer_id"])
    costs = replace(artifact.settings.costs, service=FREE, marketing=FREE)
    clv = ClvSettings(period_days=60, num_periods=1, annual_discount_rate=0.0)
    settings = replace(artifact.settings, costs=costs, clv=clv)
    expected = told["predicted"].to_numpy()
    values = values_for(replace(artifact, settings=settings), test, expected)
    margin = values.clv / values.revenue  # what refunds and goods leave
    for percent, (low, high) in zip((80, 95), values.clv_bounds.values(), strict=True):
        np.testing.assert_allclose(low, margin * told[f"low_{percent}"].to_numpy(), rtol=1e-6)
        np.testing.assert_allclose(high, margin * told[f"high_{percent}"].to_numpy(), rtol=1e-6)
    found = Results.read(tiny_artifact.parent / "metrics.json").intervals
    assert found is not None and found.calibrated_on == "backtest"
