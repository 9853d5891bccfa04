"""A search in MLflow: a run for the search, and below it one for each trial."""

from pathlib import Path

import pytest

from tests.training.tracking.runs import client_of, history, runs_of, with_store, write_steps
from training.tasks.recipes.union import TrainConfig
from tuning.recipe import TuneConfig
from tuning.results import TrialResult, write_results
from tuning.tracking import tracked_search


def trial_folder(search: TuneConfig, recipe: TrainConfig, name: str, *steps: int) -> TrainConfig:
    """What a trial leaves in its folder."""
    trial = recipe.model_copy(update={"output": search.output / "trials" / name})
    trial.output.mkdir(parents=True)
    trial.save(trial.output / "config.yaml")
    write_steps(trial, *steps)
    return trial


@pytest.fixture
def base(trained: TrainConfig, tmp_path: Path, store: str) -> TrainConfig:
    """The recipe that trials vary."""
    return with_store(trained, tmp_path / "member", store)


@pytest.fixture
def search(base: TrainConfig, tmp_path: Path) -> TuneConfig:
    """A search that was broken off in its first trial and then ended with its second."""
    base.save(tmp_path / "base.yaml")
    config = TuneConfig.model_validate(
        {
            "base": tmp_path / "base.yaml",
            "space": {"lora.rank": {"choice": [2, 4]}},
            "num_trials": 2,
            "minutes": 5,
            "output": tmp_path / "search",
        }
    )
    assert base.lora is not None
    first = base.model_copy(update={"lora": base.lora.model_copy(update={"rank": 2})})
    with pytest.raises(KeyboardInterrupt), tracked_search(config, base, "one"):
        trial_folder(config, first, "first", 1, 2)
        raise KeyboardInterrupt
    metrics = {"val_loss": 1.0, "val_rmse": 9.0}
    results = [
        TrialResult("first", "completed", {"lora.rank": 2}, metrics, 6, 6, 3.0, ""),
        TrialResult("second", "failed", {"lora.rank": 4}, {}, 1, 6, 3.0, "lost"),
    ]
    with tracked_search(config, base, "one"):
        trial_folder(config, base, "second", 1)
        write_results(config, base, results)
    return config


def test_search_is_a_run_with_a_run_below_it_for_every_trial(
    search: TuneConfig, base: TrainConfig
) -> None:
    runs = {run.info.run_name: run for run in runs_of(base)}
    assert set(runs) == {str(search.output), "first", "second"}
    parent = runs[str(search.output)]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["val_rmse"] == 9.0
    assert parent.data.tags["best_trial"] == "first"
    assert parent.data.params["space.lora.rank.choice"] == "[2, 4]"
    names = {artifact.path for artifact in client_of(base).list_artifacts(parent.info.run_id)}
    assert names == {"best.yaml", "trials.parquet", "search.png", "search.json"}
    for name, rank, status, steps in (
        ("first", "2", "FINISHED", [1, 2]),
        ("second", "4", "FAILED", [1]),
    ):
        run = runs[name]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert (run.info.status, run.data.params["lora.rank"]) == (status, rank)
        assert [step for step, _ in history(base, run, "loss")] == steps
    assert not client_of(base).search_model_versions()
