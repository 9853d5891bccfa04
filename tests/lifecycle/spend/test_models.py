"""The bundle of spend models: the same after saving, and only what is asked for is there."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

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
    assert models.expected_spend("text_llama", sets.test, {"text_llama": spend}) is spend
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
