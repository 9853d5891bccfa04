"""The service as cluster/serve.yaml has it, deployed on a head with PostgreSQL, and callers who ask it all the time."""

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from serving.client import Client, Retries, ServiceError
from tests.builders import REPOSITORY
from tests.integration.cluster.head import BINARIES

DEPLOY_SECONDS = 240
ONCE = Retries(attempts=1)
Config = dict[str, Any]  # of Serve


@dataclass(frozen=True)
class Deployed:
    """A service that runs, and what it was deployed with."""

    environment: dict[str, str]  # of the head
    file: Path  # the config
    port: int
    key: str  # of scope admin
    args: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(self, **changes: str) -> None:
        """cluster/serve.yaml but for its port and its arguments; returns when the service runs so."""
        self.send(self.config(), **changes)
        self.wait_for("RUNNING", "DEPLOYING")

    def config(self) -> Config:
        """cluster/serve.yaml as it stands."""
        found: Config = yaml.safe_load((REPOSITORY / "cluster" / "serve.yaml").read_text())
        return found

    def send(self, config: Config, **changes: str) -> None:
        """`serve deploy`, which does not wait."""
        config["http_options"]["port"] = self.port
        config["applications"][0]["args"] = self.args | changes
        self.file.write_text(yaml.safe_dump(config))
        self._serve("deploy", str(self.file))

    def status(self) -> Config:
        """Of the application, as `serve status` tells it."""
        [application] = yaml.safe_load(self._serve("status"))["applications"].values()
        found: Config = application
        return found

    def wait_for(self, wanted: str, meanwhile: str) -> str:
        """Until the application has a status; returns what is said of it."""
        deadline = time.monotonic() + DEPLOY_SECONDS
        while (found := self.status())["status"] != wanted:
            assert found["status"] == meanwhile and time.monotonic() < deadline, found
            time.sleep(0.5)
        return str(found["message"])

    def client(self, retries: Retries = ONCE) -> Client:
        return Client(self.key, self.url, retries=retries)

    def _serve(self, command: str, *words: str) -> str:
        address = self.environment["RAY_API_SERVER_ADDRESS"]
        line = [str(BINARIES / "serve"), command, "--address", address, *words]
        environment = self.environment | {"RAY_AUTH_MODE": "token"}
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@dataclass
class Asked:
    """What callers saw: how often each model answered, and what failed."""

    models: "Counter[str]" = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, client: Client, question: Callable[[Client], str]) -> None:
        while not self.is_over.is_set():
            try:
                self.models[question(client)] += 1
            except (ServiceError, httpx.TransportError) as error:
                self.failures.append(repr(error))


@contextmanager
def asking(deployed: Deployed, *questions: Callable[[Client], str]) -> Iterator[Asked]:
    """A caller for each question, who repeats nothing that fails; a question gives the model that answered."""
    asked = Asked()
    with ThreadPoolExecutor(len(questions)) as threads:
        clients = [deployed.client() for _ in questions]
        calls = [
            threads.submit(asked.ask, client, question)
            for client, question in zip(clients, questions, strict=True)
        ]
        try:
            yield asked
        finally:
            asked.is_over.set()
    for call, client in zip(calls, clients, strict=True):
        call.result()
        client.close()
