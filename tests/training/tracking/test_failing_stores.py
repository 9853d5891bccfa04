"""Stores that are away, silent, damaged or locked: the run goes on, one warning says so, nothing is lost."""

import json
import logging
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders import REPOSITORY
from tests.training.tracking.runs import begun, logged_steps, unused_port, write_steps
from training.tasks.recipes.union import TrainConfig
from training.tracking.state import STATE_FILE
from training.tracking.tracked import tracked

pytestmark = pytest.mark.integration


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
    assert time.monotonic() - started_at < 30
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
    give_up_at = time.monotonic() + 120
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
        give_up_at = time.monotonic() + 120
        while not warnings_in(caplog):
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        other.rollback()
        other.close()
        raise ZeroDivisionError
    assert logged_steps(config) == [1, 2]
    (warning,) = warnings_in(caplog)
    assert "database is locked" in warning
