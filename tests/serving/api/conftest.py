"""An API in this process, with keys of each scope."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lifecycle.erasure.keys import create_keys
from lifecycle.log.database import Log
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.opening import make_log, open_log
from serving.api.admission import ApiSettings
from serving.api.application import create_api, with_hot_route
from serving.keys import SCOPES, KeyRing, create_key
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from serving.store.known import KnownCustomers
from tests.builders import TinyShop
from tests.serving.builders import SETTINGS, InProcess, wait_until_ready
from training.score.job import score
from training.score.recipe import ScoreConfig

ROOMY = ApiSettings(SETTINGS.limits, 8_000_000, SETTINGS.max_in_flight, SETTINGS.timeout_seconds)


@pytest.fixture
def backend(predictor: Predictor) -> InProcess:
    return InProcess(predictor)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "keys.json"
    return {scope: create_key(path, scope, datetime.now(UTC))[1] for scope in SCOPES}


@pytest.fixture
def anonymous(
    tiny_shop: TinyShop, backend: InProcess, keys: dict[str, str], tmp_path: Path
) -> Iterator[TestClient]:
    ring = KeyRing(tmp_path / "keys.json")
    with TestClient(create_api(SETTINGS, ring, EventStore(tiny_shop.data), backend)) as client:
        wait_until_ready(client)
        yield client


@pytest.fixture
def client(anonymous: TestClient, keys: dict[str, str]) -> TestClient:
    anonymous.headers["Authorization"] = f"Bearer {keys['score']}"
    return anonymous


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    key = tmp_path / "erasure.json"
    create_keys(key, datetime.now(UTC))
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", key)
    yield log
    log.engine.dispose()


@pytest.fixture
def opened(log: Log) -> Iterator[list[Log]]:
    """The log as each gateway has opened it."""
    logs = [open_log(log.url, log.erasures.key) for _ in range(2)]
    yield logs
    for own in logs:
        own.engine.dispose()


@pytest.fixture
def gateways(
    opened: list[Log],
    tiny_shop: TinyShop,
    backend: InProcess,
    keys: dict[str, str],
    tmp_path: Path,
) -> Iterator[list[TestClient]]:
    """Two that share nothing but the log and the folders."""
    with ExitStack() as stack:
        clients = []
        for own in opened:
            writer = GroupCommit(own)
            stack.callback(writer.close)
            ring = KeyRing(tmp_path / "keys.json")
            api = create_api(ROOMY, ring, EventStore(tiny_shop.data, own), backend, writer)
            client = stack.enter_context(TestClient(api))
            client.headers["Authorization"] = f"Bearer {keys['admin']}"
            wait_until_ready(client)
            clients.append(client)
        yield clients


@pytest.fixture(scope="session")
def state(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("state") / "state"
    score(ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, state=folder))
    return folder


@pytest.fixture
def with_state(
    tiny_shop: TinyShop, backend: InProcess, keys: dict[str, str], tmp_path: Path, state: Path
) -> Iterator[TestClient]:
    """A service with state and a log, called with a key of scope admin."""
    key = tmp_path / "erasure.json"
    create_keys(key, datetime.now(UTC))
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", key)
    store = EventStore(tiny_shop.data, log)
    writer = GroupCommit(log)
    known = KnownCustomers(state, store.since)
    ring = KeyRing(tmp_path / "keys.json")
    api = create_api(SETTINGS, ring, store, backend, writer, known)
    with TestClient(with_hot_route(api, SETTINGS, ring, known)) as client:
        client.headers["Authorization"] = f"Bearer {keys['admin']}"
        wait_until_ready(client)
        yield client
    writer.close()
    log.engine.dispose()
