"""A real PostgreSQL server in a folder of its own, on loopback."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from benchmarks.harness.ports import free_ports

START_SECONDS = 60
ACCOUNT = "nobody"  # the server refuses to run as root


@dataclass
class Server:
    """A server in a folder; anybody on this host may connect as its user."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def url(self) -> str:
        return f"postgresql://evervalue@127.0.0.1:{self.port}"

    def new_database(self, options: str = "") -> str:
        """The URL of an empty database."""
        name = f"log{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return f"{self.url}/{name}"

    def execute(self, statement: str) -> None:
        """In no transaction."""
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def start(self, *options: str) -> None:
        """Returns when it takes connections."""
        command = [_binaries() / "postgres", "-D", "data", "-p", str(self.port), "-k", self.folder]
        with (self.folder / "log").open("a") as output:
            self.process = subprocess.Popen(
                [*command, "-c", "listen_addresses=127.0.0.1", *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                **_account(),  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                psycopg.connect(f"{self.url}/postgres").close()
                return
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT does not wait for clients; SIGQUIT is as if the host had lost its power."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START_SECONDS)
            self.process = None


@contextmanager
def running_server() -> Iterator[Server]:
    """Skips where PostgreSQL is not installed."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="evervalue-postgres-"))
    give(folder)
    initdb = [binaries / "initdb", "-D", "data", "-U", "evervalue", "-A", "trust", "-E", "UTF8"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **_account())  # type: ignore[call-overload]
    [port] = free_ports(1)
    server = Server(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def give(folder: Path) -> None:
    """Let a folder belong to whom the server runs as."""
    if os.geteuid() == 0:
        shutil.chown(folder, ACCOUNT)


def _account() -> dict[str, str]:
    return {"user": ACCOUNT, "group": "nogroup"} if os.geteuid() == 0 else {}


def _binaries() -> Path:
    """The folder of initdb and postgres, where Debian puts them or on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    return found[-1].parent if found else Path(str(on_path)).parent
