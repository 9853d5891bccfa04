"""Runs and members in a real MLflow store: what is entered, resumed runs, stores that fail, and none at all."""

import json
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from lifecycle.llama.member import read_member
from tests.builders import REPOSITORY, TinyShop, kept_process_state
from training.prepare.dataset import examples_identity
from training.recipe import TrackingSettings
from training.run.job import train
from training.tasks.identity import run_identity
from training.tasks.recipes.union import TrainConfig, load_recipe, parse_recipe
from training.tracking import follower
from training.tracking.mlflow_run import create_store
from training.tracking.state import STATE_FILE
from training.tracking.tracked import enter_finished, tracked
from tuning.recipe import TuneConfig
from tuning.results import TrialResult, write_results
from tuning.tracking import tracked_search

NUM_STEPS = 6
SERVER_SECONDS = 60


@pytest.fixture(autouse=True)
def process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Copies are made ten times a second; what tracking sets in the environment is put back."""
    monkeypatch.setattr(follower, "EVERY_SECONDS", 0.1)
    with kept_process_state():
        yield


@pytest.fixture(scope="module")
def config(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainConfig:
    folder = tmp_path_factory.mktemp("tracking")
    return parse_recipe(
        {
            "data": tiny_shop.data, "examples": tiny_shop.examples, "base_model": str(tiny_base_model),
            "lora": {"rank": 4, "alpha": 8}, "max_tokens": 320, "dtype": "fp32", "attention": "eager",
            "global_batch": 8, "micro_batch": 8, "max_steps": NUM_STEPS, "validation_rows": 8,
            "checkpoint_every_steps": 2, "num_workers": 0, "tracking": {"uri": f"sqlite:///{folder / 'mlflow.db'}"},
            "output": folder / "text",
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(config: TrainConfig) -> TrainConfig:
    """The recipe after its run, started where the relative path of its store leads."""
    here = Path.cwd()
    assert config.tracking is not None
    with kept_process_state():
        os.chdir(config.output.parent)
        try:
            train(with_store(config, config.output, "sqlite:///mlflow.db"))
        finally:
            os.chdir(here)
    return config


def with_store(config: TrainConfig, output: Path, uri: str, **settings: str) -> TrainConfig:
    """The recipe with another output and another store."""
    return config.model_copy(
        update={"output": output, "tracking": TrackingSettings(uri=uri, **settings)}
    )


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local store with its tables and nothing else; MLflow takes a second to make one."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    create_store(path)
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    """The URI of a store of the test's own."""
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"


def copied(trained: TrainConfig, folder: Path, uri: str, **settings: str) -> TrainConfig:
    """A finished run whose folder knows of no MLflow yet."""
    shutil.copytree(
        trained.output, folder / "text", ignore=shutil.ignore_patterns(STATE_FILE, "ray")
    )
    return with_store(trained, folder / "text", uri, **settings)


def begun(trained: TrainConfig, folder: Path, uri: str) -> TrainConfig:
    """A run that has just begun: a folder with its recipe and no progress."""
    (folder / "text").mkdir()
    return with_store(trained, folder / "text", uri)


def write_steps(config: TrainConfig, *steps: int) -> None:
    """Append lines to progress.jsonl as the loop does."""
    with (config.output / "progress.jsonl").open("a") as file:
        for step in steps:
            file.write(json.dumps({"step": step, "loss": 10.0 / step, "eta_seconds": 1.0}) + "\n")


def client_of(config: TrainConfig) -> MlflowClient:
    assert config.tracking is not None
    return MlflowClient(config.tracking.uri, config.tracking.uri)


def runs_of(config: TrainConfig) -> list[Run]:
    """All runs of the recipe's experiment."""
    assert config.tracking is not None
    client = client_of(config)
    experiment = client.get_experiment_by_name(config.tracking.experiment)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def only_run(config: TrainConfig) -> Run:
    (run,) = runs_of(config)
    return run


def history(config: TrainConfig, run: Run, name: str) -> list[tuple[int, float]]:
    """Steps and values of a metric in the order in which they were logged."""
    return [
        (metric.step, metric.value)
        for metric in client_of(config).get_metric_history(run.info.run_id, name)
    ]


def logged_steps(config: TrainConfig) -> list[int]:
    return [step for step, _ in history(config, only_run(config), "loss")]


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
    """Whether MLflow shows the run by now."""
    return (config.output / STATE_FILE).exists() and bool(runs_of(config))


def test_metrics_appear_while_the_run_goes_on(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = begun(trained, tmp_path, store)
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        for last in (1, 2):
            write_steps(config, last)
            with (config.output / "progress.jsonl").open("a") as file:
                file.write('{"step": 9, "lo')  # a line that is being written is left for later
            give_up_at = time.monotonic() + 60  # MLflow is imported and its store made meanwhile
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


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_server_that_is_not_there_costs_one_warning_and_no_time(
    trained: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = begun(trained, tmp_path, f"http://127.0.0.1:{unused_port()}")
    assert config.tracking is not None
    started_at = time.monotonic()
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        time.sleep(0.5)
        raise ZeroDivisionError
    assert time.monotonic() - started_at < 20
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"MLflow at {config.tracking.uri} failed: ")
    assert "run_id" not in json.loads((config.output / STATE_FILE).read_text())


def test_server_that_never_answers_holds_up_nothing_but_the_end_for_seconds(
    trained: TrainConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = begun(trained, tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ZeroDivisionError), tracked(config, "one"):
            started_at = time.monotonic()
            raise ZeroDivisionError
        assert time.monotonic() - started_at < 25
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize("damage", ["not a database at all" * 100, None], ids=["garbage", "folder"])
def test_damaged_store_is_named_at_once(
    trained: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str | None
) -> None:
    store = tmp_path / "mlflow.db"
    store.write_text(damage) if damage else store.mkdir()
    config = begun(trained, tmp_path, f"sqlite:///{store}")
    started_at = time.monotonic()
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        raise ZeroDivisionError
    assert time.monotonic() - started_at < 10
    (warning,) = warnings_in(caplog)
    assert str(store) in warning and "database" in warning


def test_store_whose_making_was_killed_is_made_anew(trained: TrainConfig, tmp_path: Path) -> None:
    config = begun(trained, tmp_path, f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    path = tmp_path / "new" / "mlflow.db"
    script = (
        "from pathlib import Path; from training.tracking.mlflow_run import create_store; "
        f"create_store(Path({str(path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY)
    give_up_at = time.monotonic() + 30
    while not [part for part in path.parent.glob("*.tmp") if part.stat().st_size]:
        assert process.poll() is None and time.monotonic() < give_up_at
    process.kill()
    process.wait()
    assert not path.exists()
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        write_steps(config, 1)
        raise ZeroDivisionError
    assert logged_steps(config) == [1]


def test_store_that_was_locked_for_a_while_gets_what_it_missed(
    trained: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture, store: str
) -> None:
    config = begun(trained, tmp_path, store)
    other = sqlite3.connect(tmp_path / "mlflow.db")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ZeroDivisionError), tracked(config, "one"):
        write_steps(config, 1, 2)
        give_up_at = time.monotonic() + 30
        while not warnings_in(caplog):
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        other.rollback()
        other.close()
        raise ZeroDivisionError
    assert logged_steps(config) == [1, 2]
    (warning,) = warnings_in(caplog)
    assert "database is locked" in warning


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


def run_script(script: str, folder: Path) -> str:
    """The output of a Python script started in `folder`, as on a machine that runs no tests."""
    environment = {
        name: value for name, value in os.environ.items() if "PYTEST" not in name and name != "CI"
    }
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


def test_local_store_needs_no_network_and_tells_nobody(
    trained: TrainConfig, tmp_path: Path
) -> None:
    config = copied(trained, tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    config.save(tmp_path / "text.yaml")
    script = (
        "import socket; from pathlib import Path\n"
        "calls = []\n"
        "real = socket.getaddrinfo\n"
        "socket.getaddrinfo = lambda *words, **others: calls.append(words) or real(*words, **others)\n"
        "socket.socket.connect = lambda self, address: calls.append(address)\n"
        "from training.tasks.recipes.union import load_recipe; from training.run.job import train\n"
        "train(load_recipe(Path('text.yaml')))\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(calls, get_telemetry_client())\n"
    )
    assert run_script(script, tmp_path) == "[] None\n"
    assert only_run(config).info.status == "FINISHED"


def test_without_tracking_mlflow_is_not_imported_and_nothing_is_written(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    config = copied(trained, tmp_path, store).model_copy(update={"tracking": None})
    config.save(tmp_path / "text.yaml")
    before = sorted(tmp_path.rglob("*"))
    script = (
        "import sys; from pathlib import Path\n"
        "from training.tasks.identity import run_identity\n"
        "from training.tasks.recipes.union import load_recipe\n"
        "from training.run.job import train; from training.tracking.tracked import tracked\n"
        "config = load_recipe(Path('text.yaml'))\n"
        "train(config)\n"
        "with tracked(config, run_identity(config)): pass\n"
        "print('mlflow' in sys.modules)\n"
    )
    assert run_script(script, tmp_path) == "False\n"
    assert sorted(tmp_path.rglob("*")) == before


def trial_folder(search: TuneConfig, recipe: TrainConfig, name: str, *steps: int) -> TrainConfig:
    """What a trial leaves in its folder."""
    trial = recipe.model_copy(update={"output": search.output / "trials" / name})
    trial.output.mkdir(parents=True)
    trial.save(trial.output / "config.yaml")
    write_steps(trial, *steps)
    return trial


def test_search_is_a_run_with_a_run_below_it_for_every_trial(
    trained: TrainConfig, tmp_path: Path, store: str
) -> None:
    base = with_store(trained, tmp_path / "member", store)
    base.save(tmp_path / "base.yaml")
    search = TuneConfig.model_validate(
        {"base": tmp_path / "base.yaml", "space": {"lora.rank": {"choice": [2, 4]}}, "num_trials": 2, "minutes": 5,
         "output": tmp_path / "search"}
    )  # fmt: skip
    lora = trained.lora
    assert lora is not None
    with pytest.raises(KeyboardInterrupt), tracked_search(search, base, "one"):
        trial_folder(
            search,
            base.model_copy(update={"lora": lora.model_copy(update={"rank": 2})}),
            "first",
            1,
            2,
        )
        raise KeyboardInterrupt
    results = [
        TrialResult(
            "first",
            "completed",
            {"lora.rank": 2},
            {"val_loss": 1.0, "val_rmse": 9.0},
            6,
            6,
            3.0,
            "",
        ),
        TrialResult("second", "failed", {"lora.rank": 4}, {}, 1, 6, 3.0, "lost"),
    ]
    with tracked_search(search, base, "one"):
        trial_folder(search, base, "second", 1)
        write_results(search, base, results)
    runs = {run.info.run_name: run for run in runs_of(base)}
    assert set(runs) == {str(search.output), "first", "second"}
    parent = runs[str(search.output)]
    assert (
        parent.info.status,
        parent.data.metrics["val_rmse"],
        parent.data.tags["best_trial"],
    ) == (
        "FINISHED",
        9.0,
        "first",
    )
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


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URI of a real MLflow server on loopback that keeps its artifacts itself."""
    port = unused_port()
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port),
               "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}",
               "--artifacts-destination", str(tmp_path / "kept")]  # fmt: skip
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        give_up_at = time.monotonic() + SERVER_SECONDS
        while not is_up(uri):
            assert process.poll() is None and time.monotonic() < give_up_at, (
                tmp_path / "server.log"
            ).read_text()
            time.sleep(0.2)
        yield uri
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_up(uri: str) -> bool:
    try:
        return httpx.get(f"{uri}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.integration
def test_server_gets_a_resumed_run_and_keeps_its_member(
    trained: TrainConfig, server: str, tmp_path: Path
) -> None:
    config = copied(trained, tmp_path, server)
    identity = run_identity(config)
    (config.output / "progress.jsonl").unlink()
    with pytest.raises(ZeroDivisionError), tracked(config, identity):
        write_steps(config, 1, 2, 3)
        raise ZeroDivisionError
    with tracked(config, identity):
        write_steps(config, 3, 4)
    enter_finished(config, identity)
    run = only_run(config)
    assert (run.info.status, logged_steps(config)) == ("FINISHED", [1, 2, 3, 4])
    (version,) = client_of(config).search_model_versions("name='evervalue-text_llama'")
    assert (
        version.source
        == f"mlflow-artifacts:/{run.info.experiment_id}/{run.info.run_id}/artifacts/member"
    )
    (kept,) = (tmp_path / "kept").rglob("member")
    assert read_member(kept).identity == identity
