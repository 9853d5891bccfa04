"""A real MLflow server gets a resumed run and keeps its member."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lifecycle.llama.member import read_member
from tests.training.tracking.runs import (
    client_of,
    copied,
    logged_steps,
    only_run,
    unused_port,
    write_steps,
)
from training.tasks.identity import run_identity
from training.tasks.recipes.union import TrainConfig
from training.tracking.tracked import enter_finished, tracked

SERVER_SECONDS = 60


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URI of a real MLflow server on loopback that keeps its artifacts itself."""
    port = unused_port()
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--workers",
        "1",
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination",
        str(tmp_path / "kept"),
    ]
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
