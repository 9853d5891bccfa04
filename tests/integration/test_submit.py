"""cluster/submit.sh against a real cluster of its own, with token authentication, on ports of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.events.shards import DATA_KIND
from lifecycle.folders import verify
from tests.builders import REPOSITORY, TinyShop

pytestmark = [pytest.mark.integration, pytest.mark.alone]
BINARIES = Path(sys.executable).parent
START_DEADLINE_SECONDS = 120


def free_ports(number: int) -> list[int]:
    """TCP ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """Environment of a user of a running head node; the node ends with the process that started it."""
    gcs, dashboard, agent, client = free_ports(4)
    folder = tempfile.mkdtemp(prefix="evervalue-", dir="/tmp")  # short: Ray's sockets lie below it
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_")
    } | {
        "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "OMP_NUM_THREADS": "1",
    }
    command = [
        str(BINARIES / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}",
        f"--port={gcs}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}",
        f"--ray-client-server-port={client}", "--num-cpus=2", "--object-store-memory=100000000",
        "--disable-usage-stats",
    ]  # fmt: skip
    with (Path(folder) / "start.log").open("w") as log:
        head = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        give_up_at = time.monotonic() + START_DEADLINE_SECONDS
        while ray("job", "list", environment=environment).returncode:
            assert head.poll() is None and time.monotonic() < give_up_at, (
                Path(folder) / "start.log"
            ).read_text()
            time.sleep(1)
        yield environment
    finally:
        head.send_signal(signal.SIGTERM)  # --block: the head takes its own processes with it
        head.wait(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


def ray(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(BINARIES / "ray"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def submit(
    name: str, *command: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    script = [str(REPOSITORY / "cluster" / "submit.sh"), name, "--", *command]
    return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=180)


def test_job_is_submitted_followed_listed_and_never_twice(
    cluster: dict[str, str], tiny_shop: TinyShop, tmp_path: Path
) -> None:
    output = tmp_path / "data"
    words = (
        "python",
        "-m",
        "training.ingest",
        "--config",
        str(tiny_shop.data / "ingest.yaml"),
        f"output={output}",
    )
    result = submit("tiny-ingest", *words, environment=cluster)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "training.ingest done in" in result.stdout
    verify(output, DATA_KIND)

    again = submit("tiny-ingest", *words, environment=cluster)
    assert again.returncode == 2
    assert "has a job 'tiny-ingest' already" in again.stderr

    listed = ray("job", "list", environment=cluster).stdout
    assert "submission_id='tiny-ingest'" in listed and "SUCCEEDED" in listed


def test_failing_job_ends_with_its_message_and_a_failure(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    words = ("python", "-m", "training.ingest", "--config", str(tmp_path / "missing.yaml"))
    result = submit("failing", *words, environment=cluster)
    assert result.returncode == 1
    assert "missing.yaml does not exist" in result.stdout


def test_wrong_token_and_absent_cluster_are_explained(cluster: dict[str, str]) -> None:
    refused = submit(
        "other", "true", environment=cluster | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    )
    assert refused.returncode == 2 and "is its token in" in refused.stderr
    nobody = cluster | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{free_ports(1)[0]}"}
    absent = submit("other", "true", environment=nobody)
    assert absent.returncode == 2 and "no Ray cluster answers" in absent.stderr
