"""The bundle of spend models: the same after saving, and only what is asked for is there."""

import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.season import Season
from lifecycle.names import VALUE_MODELS
from lifecycle.spend.models import SpendModels
from tests.builders import BTYD, REPOSITORY, TinyShop
from training.evaluate.value.windows import ExampleSets, read_example_sets


@pytest.fixture(scope="module")
def sets(tiny_shop: TinyShop) -> ExampleSets:
    return read_example_sets(tiny_shop.examples)


@pytest.fixture(scope="module")
def models(sets: ExampleSets) -> SpendModels:
    return SpendModels.fit(sets.for_test, VALUE_MODELS, seed=0)


def test_all_models_answer_the_same_after_saving(
    sets: ExampleSets, models: SpendModels, tmp_path: Path
) -> None:
    assert models.names == list(VALUE_MODELS)
    models.save(tmp_path)
    loaded = SpendModels.load(tmp_path, models.horizon_days, "ziln")
    assert loaded.names == models.names
    for name in models.names:
        before = models.expected_spend(name, sets.test)
        np.testing.assert_array_equal(loaded.expected_spend(name, sets.test), before)


def test_stack_without_others_is_asked_by_both_names(
    sets: ExampleSets, models: SpendModels
) -> None:
    np.testing.assert_array_equal(
        models.expected_spend("stack", sets.test),
        models.expected_spend("stack_without_llama", sets.test),
    )


def test_only_models_that_know_say_who_leaves(sets: ExampleSets, models: SpendModels) -> None:
    rows = sets.test.head(3)
    told = {name for name in models.names if models.no_purchase(name, rows) is not None}
    assert told == {"bgnbd_gg", "mbgnbd_gg", "pareto_nbd_gg", "hurdle"}


def test_model_that_is_not_there_is_named(sets: ExampleSets) -> None:
    few = SpendModels.fit(sets.for_selection, ("persistence",), seed=0)
    with pytest.raises(ValueError, match="no model 'lightgbm'; models are persistence, bgnbd_gg"):
        few.expected_spend("lightgbm", sets.test)


def test_champion_spreads_its_own_total_where_it_can() -> None:
    models = SpendModels(60, {"bgnbd_gg": BTYD, "mbgnbd_gg": replace(BTYD)}, {})
    assert models.spreading("mbgnbd_gg") is models.btyd["mbgnbd_gg"]
    assert models.spreading("lightgbm") is BTYD
    assert SpendModels(60, {}, {}).spreading("lightgbm") is None


def test_members_speak_for_themselves(sets: ExampleSets, models: SpendModels) -> None:
    spend = np.ones(sets.test.height)
    found = models.expected_spend("text_llama", sets.test, {"text_llama": spend})
    np.testing.assert_array_equal(found, spend)
    assert models.contributions("text_llama", sets.test) is None


@pytest.mark.integration
def test_torch_is_loaded_for_dense_ziln_alone(models: SpendModels, tmp_path: Path) -> None:
    models.save(tmp_path)
    for champion, brings in (("lightgbm", False), ("ziln", True)):
        script = (
            "import sys; from pathlib import Path; from lifecycle.spend.models import SpendModels; "
            f"SpendModels.load(Path({str(tmp_path)!r}), 60, {champion!r}); print('torch' in sys.modules)"
        )
        words = [sys.executable, "-c", script]
        done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(brings)


def test_outcomes_of_those_known_are_not_needed(sets: ExampleSets, models: SpendModels) -> None:
    unknown = replace(
        sets.for_test, known=sets.test.drop("target", "actual_net", "num_orders_ahead")
    )
    again = SpendModels.fit(unknown, ("bgnbd_gg", "stack"), seed=0)
    rows: pl.DataFrame = sets.test
    np.testing.assert_array_equal(
        again.expected_spend("stack", rows), models.expected_spend("stack", rows)
    )


def test_all_models_have_the_total_that_the_season_brings(
    sets: ExampleSets, models: SpendModels, tmp_path: Path
) -> None:
    cutoff = sets.test["cutoff"][0].date()
    assert cutoff == date(2024, 10, 30)
    months = {"2024-10": 1.0, "2024-11": 1.5, "2024-12": 2.0, "2025-01": 0.5}
    season = Season(factor=1.4, months=months, cutoff=cutoff)
    right = 1.4 * models.expected_spend("bgnbd_gg", sets.test).sum()
    brought = models.brought_to(season, sets.test)
    for name in (*models.names, "stack_without_llama"):
        before = models.expected_spend(name, sets.test)
        after = brought.expected_spend(name, sets.test)
        assert after.sum() == pytest.approx(right)
        np.testing.assert_allclose(after, before * after.sum() / before.sum())
    brought = brought.with_scales({"text_llama": 3.0})
    spend = np.ones(sets.test.height)
    assert brought.expected_spend("text_llama", sets.test, {"text_llama": spend}).sum() == 3 * len(
        spend
    )
    brought.save(tmp_path)
    loaded = SpendModels.load(tmp_path, models.horizon_days, "ziln")
    assert loaded.totals == brought.totals
    for name in models.names:
        after = brought.expected_spend(name, sets.test)
        np.testing.assert_array_equal(loaded.expected_spend(name, sets.test), after)


def test_later_customers_get_the_season_of_their_own_days(
    sets: ExampleSets, models: SpendModels
) -> None:
    months = {"2024-10": 1.0, "2024-11": 1.5, "2024-12": 2.0, "2025-01": 0.5, "2025-02": 0.5}
    cutoff = sets.test["cutoff"][0].date()
    brought = models.brought_to(Season(factor=1.4, months=months, cutoff=cutoff), sets.test)
    later = sets.test.with_columns(pl.col("cutoff") + pl.duration(days=60))
    for name in ("lightgbm", "stack"):
        now = brought.expected_spend(name, sets.test)
        then = brought.expected_spend(name, later)
        assert (then < 0.7 * now).all()


def test_unknown_season_changes_nothing(sets: ExampleSets, models: SpendModels) -> None:
    same = models.brought_to(Season(why="young"), sets.test)
    assert same.season.why == "young" and same.totals.scales == {}
    for name in models.names:
        before = models.expected_spend(name, sets.test)
        np.testing.assert_array_equal(same.expected_spend(name, sets.test), before)
