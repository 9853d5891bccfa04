"""A real search: Ray Tune, Optuna and ASHA over a two-layer LLaMA; killed, resumed, and its result trained."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml
from mlflow.tracking import MlflowClient

from lifecycle.folders import verify
from tests.builders import REPOSITORY, TinyShop
from training.tasks.recipes.union import load_recipe
from tuning.run import SEARCH_KIND

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def write_recipes(folder: Path, shop: TinyShop, base_model: Path, **changes: object) -> Path:
    """A training recipe for the tiny shop and a search over it; returns the path of the latter."""
    base = {
        "data": str(shop.data),
        "examples": str(shop.examples),
        "base_model": str(base_model),
        "lora": {"rank": 4, "alpha": 8, "num_layers": 1},
        "max_tokens": 320,
        "dtype": "fp32",
        "attention": "eager",
        "activation_cache": str(folder / "cache"),
        "global_batch": 16,
        "micro_batch": 8,
        "epochs": 20,
        "validation_rows": 32,
        "checkpoint_every_steps": 30,
        "num_workers": 0,
        "tracking": {"uri": f"sqlite:///{folder / 'mlflow.db'}"},
        "output": str(folder / "member"),
    }
    search = {
        "base": str(folder / "base.yaml"),
        "space": {
            "optimizer.learning_rate": {"loguniform": [1e-4, 1e-2]},
            "lora.rank": {"choice": [2, 4]},
        },
        "overrides": {
            "max_steps": 360,
            "checkpoint_every_steps": 120,
        },  # some seconds between reports
        "num_trials": 3,
        "minutes": 5,
        "output": str(folder / "search"),
    } | changes
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    (folder / "search.yaml").write_text(yaml.safe_dump(search))
    return folder / "search.yaml"


def start(module: str, recipe: Path, *overrides: str) -> subprocess.Popen[str]:
    """`python -m MODULE --config RECIPE` in a process group of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", module, "--config", str(recipe), *overrides],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """The output of a process that ends with status 0."""
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output[-5000:]
    return output


def wait_for_finished_trial(process: subprocess.Popen[str]) -> None:
    """Read the log until a trial has finished and the next one has reported."""
    assert process.stdout is not None
    finished = False
    for line in process.stdout:
        finished = finished or "finished, ETA" in line
        if finished and "trial 2/3" in line and "step" in line:
            return
    raise AssertionError("the search ended before its second trial reported")


def check_mlflow_runs(folder: Path, trials: pl.DataFrame) -> None:
    """MLflow has a killed and resumed search once, and below it every trial once, with its values.

    A trial that had just begun when the search was killed may be forgotten by it: MLflow has that
    as killed.
    """
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("evervalue")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    runs = {run.info.run_name: run for run in found}
    assert len(runs) == len(found)
    search = runs.pop(str(folder / "search"))
    forgotten = [
        run.info.status for name, run in runs.items() if name not in set(trials["trial_id"])
    ]
    assert forgotten in ([], ["KILLED"]) and len(runs) == trials.height + len(forgotten)
    for trial_id, learning_rate in trials.select("trial_id", "optimizer.learning_rate").iter_rows():
        run = runs[trial_id]
        assert run.data.tags["mlflow.parentRunId"] == search.info.run_id
        assert float(run.data.params["optimizer.learning_rate"]) == learning_rate
        assert run.data.metrics["val_loss"] and run.info.status == "FINISHED"
    assert not client.search_model_versions()


def test_killed_search_resumes_and_its_best_recipe_trains(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path
) -> None:
    recipe = write_recipes(tmp_path, tiny_shop, tiny_base_model)
    search = tmp_path / "search"
    process = start("tuning.run", recipe)
    wait_for_finished_trial(process)
    time.sleep(3)  # the state is saved every two seconds
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished_before = sorted(
        (search / "trials").glob("*/progress.jsonl"), key=lambda path: path.stat().st_mtime
    )[0]
    first_progress = finished_before.read_text()

    log = finish(start("tuning.run", recipe))

    assert "resuming the search" in log
    assert finished_before.read_text() == first_progress
    assert len(list((tmp_path / "cache").iterdir())) == 2, (
        "all trials share the activations of their prompts"
    )
    trials = pl.read_parquet(search / "trials.parquet")
    assert trials.height == 3
    assert set(trials["status"]) <= {"completed", "stopped"}
    assert trials["optimizer.learning_rate"].is_between(1e-4, 1e-2).all()
    best = load_recipe(search / "best.yaml")
    completed = trials.filter(pl.col("status") == "completed").sort("val_rmse")
    assert best.optimizer.learning_rate == completed["optimizer.learning_rate"][0]
    assert (best.max_steps, best.checkpoint_every_steps, best.output) == (
        None,
        30,
        tmp_path / "member",
    )
    verify(search, SEARCH_KIND)
    assert not (search / "ray").exists()
    assert not list(search.glob("trials/*/member"))
    check_mlflow_runs(tmp_path, trials)

    assert "complete already" in finish(start("tuning.run", recipe))
    finish(
        start("training.run", search / "best.yaml", "max_steps=1", f"output={tmp_path / 'trained'}")
    )
    assert (tmp_path / "trained" / "member" / "manifest.json").is_file()


@pytest.mark.thorough
def test_search_covers_the_sequence_encoder(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path
) -> None:
    space = {
        "optimizer.learning_rate": {"loguniform": [1e-3, 1e-2]},
        "sequence.hidden_size": {"choice": [16, 32]},
    }
    overrides = {"max_steps": 20, "checkpoint_every_steps": 10}
    recipe = write_recipes(
        tmp_path,
        tiny_shop,
        tiny_base_model,
        space=space,
        overrides=overrides,
        num_trials=2,
        max_concurrent_trials=2,
    )
    base = yaml.safe_load((tmp_path / "base.yaml").read_text())
    for text_only in ("base_model", "lora", "max_tokens", "attention", "activation_cache"):
        del base[text_only]
    sequence = {
        "encoder": "sequence",
        "sequence": {"num_layers": 1, "num_heads": 2, "max_events": 48},
    }
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base | sequence))
    finish(start("tuning.run", recipe))
    trials = pl.read_parquet(tmp_path / "search" / "trials.parquet")
    assert trials.height == 2 and set(trials["sequence.hidden_size"]) <= {16, 32}
    best = load_recipe(tmp_path / "search" / "best.yaml")
    completed = trials.filter(pl.col("status") == "completed").sort("val_rmse")
    assert best.sequence.hidden_size == completed["sequence.hidden_size"][0]
    assert (
        best.encoder == "sequence"
        and best.optimizer.learning_rate == completed["optimizer.learning_rate"][0]
    )
