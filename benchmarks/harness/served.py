"""`serve run` with HAProxy in a process of its own, as `make serve` starts it, for benchmarks that end parts of it."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.harness.ports import serve_environment

START_SECONDS = 180
STOP_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """A service that was started, ready or not."""

    process: psutil.Popen
    url: str

    def parts(self, name: str) -> list[psutil.Process]:
        """Its processes whose name or command line has this word."""
        found = []
        for child in self.children():
            try:
                if name in " ".join([child.name(), *child.cmdline()]):
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found

    def children(self) -> list[psutil.Process]:
        """All its processes but the first; none once that has ended."""
        try:
            return list(self.process.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        everybody = [self.process, *self.children()]
        for process in everybody:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(everybody, STOP_SECONDS)

    def stop(self) -> None:
        """Ctrl-C."""
        children = self.process.children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_SECONDS)
        _, alive = psutil.wait_procs(children, STOP_SECONDS)
        for child in alive:
            child.kill()


def start(words: list[str], port: int, log: Path) -> Service:
    """Start `serve run serving.app:build` with these words and wait until it is ready."""
    command = [sys.executable, "-m", "ray.serve.scripts", "run", "serving.app:build", *words]
    with log.open("a") as output:
        process = psutil.Popen(
            [*command, f"port={port}"],
            env=serve_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(process, f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{service.url}/healthz", trust_env=False).status_code == 200:
                return service
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    if process.is_running():
        service.kill()
    raise RuntimeError(f"the service did not start; the end of {log}:\n{log.read_text()[-5000:]}")
