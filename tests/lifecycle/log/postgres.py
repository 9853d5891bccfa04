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

from tests.integration.serving.service import free_ports

START_SECONDS = 60
ACCOUNT = "nobody"  # the server refuses to run as root


@dataclass(frozen=True)
class Server:
    """A running server; anybody on this host may connect as its user."""

    port: int
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def url(self) -> str:
        return f"postgresql://evervalue@127.0.0.1:{self.port}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"log{next(self.numbers)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Skips where PostgreSQL is not installed."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="evervalue-postgres-"))
    as_root = os.geteuid() == 0
    account: dict[str, str] = {"user": ACCOUNT, "group": "nogroup"} if as_root else {}
    if as_root:
        shutil.chown(folder, ACCOUNT)
    [port] = free_ports(1)
    data = folder / "data"
    initdb = [binaries / "initdb", "-D", data, "-U", "evervalue", "-A", "trust", "-E", "UTF8"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **account)  # type: ignore[call-overload]
    command = [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder]
    with (folder / "log").open("w") as output:
        process = subprocess.Popen(
            [*command, "-c", "listen_addresses=127.0.0.1"],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            **account,  # type: ignore[arg-type]
        )
    try:
        server = Server(port)
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # does not wait for clients
        process.wait(START_SECONDS)
        shutil.rmtree(folder)


def _binaries() -> Path:
    """The folder of initdb and postgres, where Debian puts them or on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    return found[-1].parent if found else Path(str(on_path)).parent


def _wait(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(f"{server.url}/postgres").close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())
