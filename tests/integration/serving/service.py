"""`serve run` with HAProxy in a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.harness.ports import serve_environment
from tests.builders import REPOSITORY

SERVE = [sys.executable, "-m", "ray.serve.scripts", "run"]
START_SECONDS = 180
STOP_SECONDS = 90
MAX_IN_FLIGHT = 8


@dataclass(frozen=True)
class Service:
    """A running service and what it was started with."""

    process: psutil.Popen
    port: int
    key: str
    keys: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def environment() -> dict[str, str]:
    return serve_environment() | {"OMP_NUM_THREADS": "1"}


def run_serve(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`serve run` that is expected to end by itself."""
    return subprocess.run(
        [*SERVE, *words],
        cwd=REPOSITORY,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )


@contextmanager
def running(words: list[str], port: int, key: str, keys: Path, log: Path) -> Iterator[Service]:
    """`serve run` until the block ends, then Ctrl-C."""
    with log.open("w") as output:
        process = psutil.Popen(
            [*SERVE, *words],
            cwd=REPOSITORY,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(process, port, key, keys, log)
    try:
        wait_until_ready(service)
        yield service
    finally:
        if process.is_running():
            stop(process)


def stop(process: psutil.Popen) -> None:
    children = process.children(recursive=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        raise
    finally:
        _, alive = psutil.wait_procs(children, timeout=30)
        for child in alive:
            child.kill()


def wait_until_ready(service: Service) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert service.process.poll() is None, service.log.read_text()
        try:
            if httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(service.log.read_text())
