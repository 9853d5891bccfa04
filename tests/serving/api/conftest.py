"""An API in this process, with keys of each scope."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.api.application import create_api
from serving.keys import KeyRing, create_key
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.serving.builders import SETTINGS, InProcess, wait_until_ready


@pytest.fixture
def backend(predictor: Predictor) -> InProcess:
    return InProcess(predictor)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "keys.json"
    return {
        scope: create_key(path, scope, datetime.now(UTC))[1]
        for scope in ("score", "write", "admin")
    }


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
