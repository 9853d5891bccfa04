"""A seasonal shop through prepare, evaluate and the artifact."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.answers import examples_for, values_for
from lifecycle.artifact.files import load_artifact
from lifecycle.events.history import customers_at
from tests.training.evaluate.season.conftest import CUTOFF, HORIZON, Shop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.prepare.dataset import read_dataset
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.results.arena import Results

pytestmark = pytest.mark.integration
MODELS = ("bgnbd_gg", "lightgbm", "hurdle", "stack")
LATEST = datetime(2023, 12, 30, tzinfo=UTC)  # where the outcomes of the test customers end


@pytest.fixture(scope="module")
def arena(seasonal_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What evaluate makes of the seasonal shop, what serves being fitted again."""
    folder = tmp_path_factory.mktemp("arena")
    window = {"test_cutoff": CUTOFF.date(), "horizon_days": HORIZON, "num_train_cutoffs": 3}
    places = {"data": seasonal_shop.data, "output": folder / "examples"}
    prepare(PrepareConfig.model_validate(window | places))
    tree = {
        "data": seasonal_shop.data,
        "examples": folder / "examples",
        "models": MODELS,
        "num_resamples": 20,
        "refit": True,
        "report_html": False,
        "output": folder / "arena",
    }
    evaluate(EvaluateConfig.model_validate(tree))
    return folder


def test_all_models_expect_the_christmas_that_comes(arena: Path, seasonal_shop: Shop) -> None:
    results = Results.read(arena / "arena" / "metrics.json")
    assert results.season is not None and results.season.factor > 1.2
    biases = [metrics.bias for metrics in results.models.values()]
    assert biases == pytest.approx([biases[0]] * len(MODELS))
    assert biases[0] == pytest.approx(1, abs=0.15)
    predictions = pl.read_parquet(arena / "arena" / "predictions.parquet")
    of_one = predictions.filter(pl.col("model") == "lightgbm")
    assert of_one["actual"].sum() == pytest.approx(seasonal_shop.actual)


def test_backtests_are_told_with_who_was_there(arena: Path) -> None:
    dataset = read_dataset(arena / "examples")
    assert dataset.same_season.test_cutoff == date(2022, 10, 1)
    assert dataset.same_season.horizon_days == HORIZON
    results = Results.read(arena / "arena" / "metrics.json")
    assert [one.cutoff for one in results.backtests] == ["2023-07-03", "2022-10-01"]
    assert [one.is_same_season for one in results.backtests] == [False, True]
    assert set(results.backtests[1].models) == set(MODELS)
    assert results.selection is not None and "and in the backtest at 2022-10-01" in (
        results.selection.rule
    )


def test_what_serves_has_the_season_of_its_own_months(arena: Path, seasonal_shop: Shop) -> None:
    results = Results.read(arena / "arena" / "metrics.json")
    artifact = load_artifact(arena / "arena" / "artifact")
    season = artifact.manifest.season
    assert season == artifact.models.season and season.cutoff == LATEST.date()
    assert results.season is not None and season.factor < results.season.factor
    events = seasonal_shop.events
    keys = customers_at(events, LATEST)
    examples = examples_for(artifact, events, keys)
    total = artifact.models.expected_spend(artifact.settings.champion, examples)
    values = values_for(artifact, examples, total)
    revenue = values.period_revenue.sum(axis=0)
    np.testing.assert_allclose(revenue[:3].sum(), total.sum(), rtol=0.03)
    assert revenue[0] > revenue[4] and revenue[11] > revenue[6], "January, May; December, July"
