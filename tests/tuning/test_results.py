"""What a search leaves: the best of its trials, their table, the best recipe."""

import dataclasses
import json
import math
from pathlib import Path

import polars as pl
import pytest

from tests.builders import TinyShop
from tests.tuning.recipes import TRIAL, search_recipe, train_recipe
from training.tasks.recipes.union import load_recipe
from tuning.results import (
    RESULT_FILE,
    TrialResult,
    best_trial,
    remove_state,
    trial_table,
    write_results,
)


def trial(**changes: object) -> TrialResult:
    return dataclasses.replace(TRIAL, **changes)  # type: ignore[arg-type]


def test_best_is_the_best_of_the_completed(tmp_path: Path) -> None:
    early = trial(trial_id="early", status="stopped", step=2, metrics={"val_rmse": 5.0})
    other = trial(trial_id="other", metrics={"val_rmse": 9.0})
    assert best_trial(search_recipe(tmp_path), [TRIAL, early, other]) is other
    assert best_trial(search_recipe(tmp_path, mode="max"), [TRIAL, early, other]) is TRIAL


def test_without_completed_trials_only_equal_steps_are_compared(tmp_path: Path) -> None:
    trials = [
        trial(status="stopped", step=2, metrics={"val_rmse": 5.0}),
        trial(status="cut", step=4, metrics={"val_rmse": 9.0}),
        trial(status="cut", step=4, metrics={"val_rmse": 8.0}),
    ]
    assert best_trial(search_recipe(tmp_path), trials) is trials[2]


def test_diverged_trial_is_never_the_best(tmp_path: Path) -> None:
    assert (
        best_trial(search_recipe(tmp_path), [trial(metrics={"val_rmse": math.nan}), TRIAL]) is TRIAL
    )


def test_no_result_within_the_budget_is_an_error(tmp_path: Path) -> None:
    cut = trial(status="cut", step=0, metrics={})
    failed = trial(
        status="failed", step=0, metrics={}, num_steps=None, values={}, error="ValueError: too long"
    )
    with pytest.raises(
        ValueError,
        match="none of 2 trials reported val_rmse within 5 minutes.*ValueError: too long",
    ):
        best_trial(search_recipe(tmp_path), [cut, failed])


def test_table_has_a_row_for_every_trial(tmp_path: Path) -> None:
    failed = trial(
        trial_id="two",
        status="failed",
        metrics={},
        error="boom",
        values={"optimizer.learning_rate": None, "lora.targets": None},
    )
    table = trial_table(search_recipe(tmp_path), [TRIAL, failed])
    assert table["trial_id"].to_list() == ["one", "two"]
    assert table["optimizer.learning_rate"].to_list() == [1e-3, None]
    assert table["lora.targets"].to_list() == ['["q_proj"]', None]
    assert table["val_rmse"].to_list() == [10.0, None]
    assert table["error"].to_list() == [None, "boom"]


def test_results_hold_the_best_values_and_none_of_the_overrides(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    base = train_recipe(tmp_path, tiny_shop, tiny_base_model)
    config = search_recipe(tmp_path, num_trials=2)
    (config.output / "trials" / "one" / "ray").mkdir(parents=True)
    write_results(config, base, [TRIAL])
    remove_state(config.output)
    best = load_recipe(config.output / "best.yaml")
    assert best.optimizer.learning_rate == 1e-3
    assert best.lora is not None and best.lora.targets == ("q_proj",)
    assert (best.max_steps, best.output) == (None, base.output)
    content = json.loads((config.output / RESULT_FILE).read_text())
    assert (content["cut_by_minutes"], content["trials"]) == (True, {"completed": 1})
    assert pl.read_parquet(config.output / "trials.parquet").height == 1
    assert (config.output / "search.png").stat().st_size > 5000
    assert not (config.output / "trials" / "one" / "ray").exists()
