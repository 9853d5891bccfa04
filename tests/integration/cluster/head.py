"""The head of a cluster as the docs start it: cluster/start.sh, with ports and a home of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.ports import free_ports
from tests.builders import REPOSITORY

BINARIES = Path(sys.executable).parent
START_DEADLINE_SECONDS = 120


@contextmanager
def running_head(*options: str) -> Iterator[dict[str, str]]:
    """The environment of a new user of this head; --block: it ends with the process that started it."""
    gcs, dashboard, agent, client, *haproxy = free_ports(7)
    folder = tempfile.mkdtemp(prefix="evervalue-", dir="/tmp")  # short: Ray's sockets lie below it
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_")
    } | {
        "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",
        "HOME": folder,
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(haproxy[0]),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(haproxy[1]),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(haproxy[2]),
        "OMP_NUM_THREADS": "1",
    }
    command = [
        str(REPOSITORY / "cluster" / "start.sh"),
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--temp-dir={folder}",
        f"--port={gcs}",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}",
        f"--ray-client-server-port={client}",
        "--object-store-memory=100000000",
        *options,
    ]
    log = Path(folder) / "start.log"
    with log.open("w") as file:
        head = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        give_up_at = time.monotonic() + START_DEADLINE_SECONDS
        while ray("job", "list", environment=environment).returncode:
            assert head.poll() is None and time.monotonic() < give_up_at, log.read_text()
            time.sleep(1)
        yield environment
    finally:
        head.send_signal(signal.SIGTERM)  # --block: the head takes its own processes with it
        head.wait(timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


def ray(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of Ray's, with the token of this user."""
    command = [str(BINARIES / "ray"), *arguments]
    with_token = environment | {"RAY_AUTH_MODE": "token"}
    return subprocess.run(command, env=with_token, capture_output=True, text=True)
