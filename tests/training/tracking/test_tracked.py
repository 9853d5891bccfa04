"""Runs and members in a real MLflow store: what is entered, once, however often a run is resumed."""

import json
import time
from pathlib import Path

import pytest
from mlflow.artifacts import download_artifacts

from lifecycle.folders import read_stored
from lifecycle.llama.member import read_member
from tests.builders import TinyShop
from tests.training.tracking.runs import (
    begun,
    client_of,
    copied,
    history,
    logged_steps,
    only_run,
    runs_of,
    with_store,
    write_steps,
)
from training.prepare.dataset import examples_identity
from training.run.job import train
from training.tasks.identity import run_identity
from training.tasks.recipes.union import TrainConfig, load_recipe
from training.tracking.state import STATE_FILE, TrackedRun
from training.tracking.tracked import tracked


def test_finished_run_has_recipe_tags_and_the_metrics_of_its_progress_file(
    trained: TrainConfig, tiny_shop: TinyShop
) -> None:
    run = only_run(trained)
    assert run.info.status == "FINISHED"
    assert (run.data.params["optimizer.betas"], run.data.params["lora.rank"]) == (
        "[0.9, 0.98]",
        "4",
    )
    assert (run.data.params["encoder"], run.data.params["num_layers"]) == ("text", "null")
    assert not [name for name in run.data.params if name.startswith("tracking")]
    assert (run.data.tags["encoder"], run.data.tags["task"]) == ("text", "value")
    assert run.data.tags["dataset"] == examples_identity(tiny_shop.examples)
    assert run.data.tags["identity"] == run_identity(trained)
    lines = [
        json.loads(line) for line in (trained.output / "progress.jsonl").read_text().splitlines()
    ]
    assert {name for line in lines for name in line} - set(run.data.metrics) == {
        "step",
        "eta_seconds",
        "seconds",
    }
    for name in run.data.metrics:
        first_of_step: dict[int, float] = {}
        for line in lines:
            if name in line:
                first_of_step.setdefault(line["step"], line[name])
        assert history(trained, run, name) == list(first_of_step.items())
    assert [step for step, _ in history(trained, run, "val_loss")] == [2, 4, 6]


def test_registered_member_can_be_taken_from_the_registry_undamaged(
    trained: TrainConfig, tmp_path: Path
) -> None:
    client, run = client_of(trained), only_run(trained)
    (version,) = client.search_model_versions("name='evervalue-text_llama'")
    member = Path(download_artifacts(artifact_uri=f"{version.source}", dst_path=str(tmp_path)))
    manifest = read_member(member)
    assert manifest == read_member(trained.output / "member")
    assert manifest.base_model is not None
    assert (version.run_id, version.status) == (run.info.run_id, "READY")
    assert version.tags["identity"] == run.data.tags["identity"] == manifest.identity
    assert (version.tags["base_model_sha256"], version.tags["horizon_days"]) == (
        manifest.base_model.sha256,
        "60",
    )
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert names == {"config.yaml", "progress.jsonl", "member"}


def test_files_lie_beside_the_local_store_and_nowhere_else(trained: TrainConfig) -> None:
    folder = trained.output.parent
    assert {path.name for path in folder.iterdir()} == {"text", "mlflow.db", "artifacts"}
    run = only_run(trained)
    assert (folder / "artifacts" / run.info.run_id / "artifacts" / "config.yaml").is_file()


def test_second_call_of_a_finished_run_does_not_touch_the_store(trained: TrainConfig) -> None:
    assert trained.tracking is not None
    store = Path(trained.tracking.uri.removeprefix("sqlite:///"))
    before = store.stat().st_mtime_ns
    train(trained)
    assert store.stat().st_mtime_ns == before


def test_run_that_was_lost_at_its_end_is_entered_by_the_same_command_once(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = copied(trained, tmp_path, store, model_name="journey")
    train(config)
    state = json.loads((config.output / STATE_FILE).read_text())
    for lost in (
        {"status"},
        {"status", "run_id"},
    ):  # as if the driver had been killed before it wrote them
        (config.output / STATE_FILE).write_text(
            json.dumps({key: state[key] for key in state.keys() - lost})
        )
        train(config)
    run = only_run(config)
    assert (run.info.run_id, run.info.status) == (state["run_id"], "FINISHED")
    assert [
        version.run_id for version in client_of(config).search_model_versions("name='journey'")
    ] == [state["run_id"]]
    assert json.loads((config.output / STATE_FILE).read_text()) == state


def test_resumed_run_goes_on_in_the_same_mlflow_run_without_repeating_steps(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = begun(trained, tmp_path, store)
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        write_steps(config, 1, 2, 3)
        raise ZeroDivisionError
    assert (only_run(config).info.status, logged_steps(config)) == ("FAILED", [1, 2, 3])
    more_failures = config.model_copy(update={"max_failures": 9})
    with pytest.raises(KeyboardInterrupt), tracked(more_failures, "one"):
        write_steps(config, 2, 3, 4, 5)
        raise KeyboardInterrupt
    assert (only_run(config).info.status, logged_steps(config)) == ("KILLED", [1, 2, 3, 4, 5])
    assert not client_of(config).search_model_versions()


def is_entered(config: TrainConfig) -> bool:
    """Whether MLflow has the run by now. The store may not be asked earlier: it may still be made."""
    path = config.output / STATE_FILE
    return path.exists() and read_stored(path, TrackedRun).run_id is not None


def test_metrics_appear_while_the_run_goes_on(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = begun(trained, tmp_path, store)
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        for last in (1, 2):
            write_steps(config, last)
            with (config.output / "progress.jsonl").open("a") as file:
                file.write('{"step": 9, "lo')  # a line that is being written is left for later
            give_up_at = time.monotonic() + 120  # MLflow is imported and its store made meanwhile
            while not is_entered(config) or logged_steps(config)[-1:] != [last]:
                assert time.monotonic() < give_up_at
                time.sleep(0.05)
            assert only_run(config).info.status == "RUNNING"
            text = (config.output / "progress.jsonl").read_text()
            (config.output / "progress.jsonl").write_text(text[: text.rfind("\n") + 1])
        raise ZeroDivisionError


def test_another_recipe_in_the_folder_or_another_store_is_another_run(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = begun(trained, tmp_path, store)
    moved = with_store(config, config.output, f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    for recipe, identity in ((config, "one"), (config, "two"), (moved, "two")):
        with pytest.raises(ZeroDivisionError), tracked(recipe, identity):
            write_steps(recipe, 1)
            raise ZeroDivisionError
    assert {run.data.tags["identity"] for run in runs_of(config)} == {"one", "two"}
    assert logged_steps(moved) == [1]


def test_run_deleted_from_mlflow_is_entered_anew(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = begun(trained, tmp_path, store)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), tracked(config, "one"):
            write_steps(config, 1, 2)
            raise ZeroDivisionError
        run = only_run(config)
        client_of(config).delete_run(run.info.run_id)
    client_of(config).restore_run(run.info.run_id)
    assert logged_steps(config) == [1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"uri": "ftp://host/x"},
            r"tracking.uri is 'ftp://host/x': .*it must be sqlite:///FILE, or http\(s\)://HOST:PORT",
        ),
        ({"uri": "runs/mlflow"}, "it must be sqlite:///FILE"),
        ({"uri": "sqlite:///"}, "it must be sqlite:///FILE"),
        ({"uri": "http://:5000"}, "it must be sqlite:///FILE"),
        ({"uri": "http://host:port"}, "[Pp]ort"),
        (
            {"uri": "https://me:secret@host"},
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead",
        ),
        ({"model_name": "a/b"}, "tracking.model_name is 'a/b'"),
        ({"experiment": ""}, "tracking.experiment is ''"),
        ({"server": "x"}, "unknown key 'tracking.server'"),
    ],
)
def test_wrong_settings_are_refused_with_the_recipe(
    trained: TrainConfig, tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    trained.save(tmp_path / "text.yaml")
    with pytest.raises(ValueError, match=message):
        load_recipe(tmp_path / "text.yaml", [f"tracking={json.dumps(settings)}"])
