"""One service for all tests of this folder."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.harness.ports import free_ports
from lifecycle.erasure.keys import create_keys
from lifecycle.events.shards import read_shard, shard_paths
from serving.client import Client
from serving.keys import create_key
from tests.builders import TinyShop
from tests.integration.serving.service import MAX_IN_FLIGHT, Service, running


@pytest.fixture(scope="package")
def service(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    keys = folder / "keys.json"
    [port] = free_ports(1)
    _, key = create_key(keys, "score", datetime.now(UTC))
    create_keys(folder / "erasure.json", datetime.now(UTC))
    words = [
        "serving.app:build",
        f"artifact={tiny_artifact}",
        f"events={tiny_shop.data}",
        f"log=sqlite:///{folder / 'log.db'}",
        f"keys={keys}",
        f"erasure_key={folder / 'erasure.json'}",
        f"port={port}",
        f"max_in_flight={MAX_IN_FLIGHT}",
        "batch_wait_seconds=0.1",
        "max_body_bytes=8000000",
    ]
    with running(words, port, key, keys, folder / "log") as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.key, service.url) as client:
        yield client


@pytest.fixture(scope="package")
def customer_ids(tiny_shop: TinyShop) -> list[str]:
    bought = [read_shard(path, ["customer_id", "kind"]) for path in shard_paths(tiny_shop.data)]
    return sorted(
        {row[0] for events in bought for row in events.iter_rows() if row[1] == "purchase"}
    )
