"""The service as a user runs it: `serve run` with HAProxy in a process of its own, asked over real HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import httpx
import psutil
import pytest
import yaml

from lifecycle.events.shards import read_shard, shard_paths
from serving.api.responses import RecommendationResponse, ValueResponse
from serving.client import Client, ServiceError
from serving.keys import create_key, read_keys, revoke_key
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from serving.store.events import EventStore
from tests.builders import REPOSITORY, TinyShop

pytestmark = [pytest.mark.integration, pytest.mark.alone]
SERVE = [sys.executable, "-m", "ray.serve.scripts", "run"]
START_SECONDS, STOP_SECONDS = 180, 90
MAX_IN_FLIGHT = 8
REPLICA_PORTS = range(30000, 31000)


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


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def environment() -> dict[str, str]:
    metrics, stats, fallback = free_ports(3)
    return os.environ | {
        "RAY_ADDRESS": "local",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "OMP_NUM_THREADS": "1",
    }


def run_serve(*words: str) -> subprocess.CompletedProcess[str]:
    """`serve run` that is expected to end by itself."""
    return subprocess.run(
        [*SERVE, *words],
        cwd=REPOSITORY,
        env=environment(),
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


@pytest.fixture(scope="module")
def service(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    [port], keys = free_ports(1), folder / "keys.json"
    _, key = create_key(keys, "score", datetime.now(UTC))
    words = [
        "serving.app:build", f"artifact={tiny_artifact}", f"events={tiny_shop.data}", f"keys={keys}", f"port={port}",
        f"max_in_flight={MAX_IN_FLIGHT}", "batch_wait_seconds=0.1", "max_body_bytes=8000000",
    ]  # fmt: skip
    with running(words, port, key, keys, folder / "log") as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.key, service.url) as client:
        yield client


@pytest.fixture(scope="module")
def customer_ids(tiny_shop: TinyShop) -> list[str]:
    bought = [read_shard(path, ["customer_id", "kind"]) for path in shard_paths(tiny_shop.data)]
    return sorted(
        {row[0] for events in bought for row in events.iter_rows() if row[1] == "purchase"}
    )


def test_values_are_those_computed_offline_in_any_batch(
    service: Service,
    client: Client,
    customer_ids: list[str],
    tiny_artifact: Path,
    tiny_shop: TinyShop,
) -> None:
    predictor, store = Predictor(tiny_artifact), EventStore(tiny_shop.data)
    groups = [customer_ids[start : start + 1 + start % 7] for start in range(0, 60, 3)]
    wanted = sorted({customer for group in groups for customer in group})
    queries = [
        CustomerQuery(customer, store.events_of([customer])[customer], {}, None)
        for customer in wanted
    ]
    expected = {
        str(answer["customer_id"]): json.loads(json.dumps(answer))
        for answer in predictor.value(queries)
    }
    with ThreadPoolExecutor(MAX_IN_FLIGHT) as pool:
        answers = list(
            pool.map(lambda group: client.value([{"customer_id": one} for one in group]), groups)
        )
    for group, answer in zip(groups, answers, strict=True):
        assert [customer["customer_id"] for customer in answer] == group
        assert answer == [expected[customer] for customer in group]
    ValueResponse.model_validate({"customers": answers[0]})


def test_recommendations_hold_items_of_the_catalogue(
    client: Client, customer_ids: list[str]
) -> None:
    customers = [{"customer_id": customer} for customer in customer_ids[:3]]
    answer = client.recommendations(customers, k=5, category="coffee")
    parsed = RecommendationResponse.model_validate({"customers": answer})
    assert [customer.customer_id for customer in parsed.customers] == customer_ids[:3]
    assert all(len(customer.recommendations) == 5 for customer in parsed.customers)
    assert {item.item_id for one in parsed.customers for item in one.recommendations} <= {
        f"i{number}" for number in range(0, 40, 4)
    }


def test_api_and_replicas_listen_on_loopback_alone(service: Service) -> None:
    listening = [
        (connection.laddr.ip, connection.laddr.port)
        for child in service.process.children(recursive=True)
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    served = [(ip, port) for ip, port in listening if port == service.port or port in REPLICA_PORTS]
    assert {port == service.port for _, port in served} == {True, False}
    assert {ip for ip, _ in served} == {"127.0.0.1"}


def test_key_opens_what_its_scope_covers_until_it_is_revoked(service: Service) -> None:
    key, secret = create_key(service.keys, "events", datetime.now(UTC))
    for word, status in (("wrong", 401), (secret, 403)):
        with Client(word, service.url) as client, pytest.raises(ServiceError) as error:
            client.model()
        assert error.value.status == status
    admin, secret = create_key(service.keys, "admin", datetime.now(UTC))
    with Client(secret, service.url) as client:
        assert client.model()["champion"]
        revoke_key(service.keys, admin.id)
        with pytest.raises(ServiceError, match="401"):
            client.model()
    revoke_key(service.keys, key.id)
    assert len(read_keys(service.keys)) == 1


def test_callers_mistakes_get_the_errors_of_the_contract(
    service: Service, client: Client, customer_ids: list[str]
) -> None:
    known = {"customer_id": customer_ids[0]}
    unborn = {"events": [{"occurred_at": "2024-11-01", "kind": "view"}], "as_of": "2024-10-01"}
    for customers, status, words in (
        ([known, {"customer_id": "nobody"}], 404, "nobody"),
        ([known, unborn], 422, "customers.1"),
        ([known, {}], 422, "customers.1"),
        ([known] * 257, 422, "customers"),
        ([{"customer_id": "c" * 9_000_000}], 413, "8000000"),
    ):
        with pytest.raises(ServiceError, match=words) as error:
            client.value(customers)
        assert error.value.status == status
    with pytest.raises(ServiceError, match="candidates.1") as error:
        client.recommendations([known], candidates=["i1", "gone"])
    assert error.value.status == 422


def test_histories_that_no_small_message_holds_are_answered(client: Client) -> None:
    event = {
        "occurred_at": "2024-06-01T10:00:00Z",
        "kind": "purchase",
        "amount": 5.0,
        "text": "x" * 2000,
    }
    days = [
        f"2024-{1 + number % 12:02d}-{1 + number // 12 % 28:02d}T10:00:00Z"
        for number in range(3000)
    ]
    events = [event | {"occurred_at": day} for day in days]
    [answer] = client.value([{"customer_id": "long", "events": events}])
    assert answer["expected_orders"] > 0


def test_full_queue_is_refused_with_the_time_to_come_back(
    client: Client, customer_ids: list[str]
) -> None:
    def ask(customer: str) -> ServiceError | None:
        try:
            client.value([{"customer_id": customer}])
        except ServiceError as error:
            return error
        return None

    with ThreadPoolExecutor(40) as pool:
        errors = list(pool.map(ask, customer_ids[:40] * 3))
    refused = [error for error in errors if error is not None]
    assert {error.status for error in refused} == {429}
    assert {error.retry_after_seconds for error in refused} == {1.0}
    assert len(refused) < len(errors)
    assert ask(customer_ids[0]) is None


def test_killed_replica_comes_back_and_nobody_sees_a_500(
    service: Service, client: Client, customer_ids: list[str]
) -> None:
    [replica] = [
        child
        for child in service.process.children(recursive=True)
        if "ValueModel" in child.name() + "".join(child.cmdline())
    ]
    replica.kill()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            assert client.value([{"customer_id": customer_ids[0]}])
            return
        except ServiceError as error:
            assert error.status in (429, 503)
            time.sleep(error.retry_after_seconds or 1)
    raise AssertionError("the replica did not come back")


def test_nothing_of_a_request_reaches_the_log(service: Service, client: Client) -> None:
    secret = "alice-and-her-address"
    event = {"occurred_at": "2024-11-01", "kind": "review", "text": secret}
    assert client.value([{"customer_id": secret, "events": [event]}])
    with pytest.raises(ServiceError, match="422"):
        client.value([{"customer_id": secret, "events": [event], "as_of": "2024-10-01"}])
    assert secret not in service.log.read_text()


def test_second_service_on_the_port_ends_with_a_clear_error(
    service: Service, tiny_shop: TinyShop, tiny_artifact: Path
) -> None:
    words = (
        f"artifact={tiny_artifact}",
        f"events={tiny_shop.data}",
        f"keys={service.keys}",
        f"port={service.port}",
    )
    ended = run_serve("serving.app:build", *words)
    assert ended.returncode != 0
    assert f"port {service.port} of 127.0.0.1 cannot be used" in ended.stderr
    assert "Started a local Ray instance" not in ended.stdout + ended.stderr


def test_damaged_artifact_ends_with_the_name_of_its_file(
    service: Service, tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    copytree(tiny_artifact, tmp_path / "artifact")
    (tmp_path / "artifact" / "settings.json").write_text("{}")
    words = (
        f"artifact={tmp_path / 'artifact'}",
        f"events={tiny_shop.data}",
        f"keys={service.keys}",
    )
    ended = run_serve("serving.app:build", *words)
    assert ended.returncode != 0
    assert "settings.json is not the file" in ended.stderr
    assert "Started a local Ray instance" not in ended.stdout + ended.stderr


def test_serve_yaml_runs_as_it_stands_but_for_paths_and_port(
    tiny_shop: TinyShop, tiny_artifact: Path, customer_ids: list[str], tmp_path: Path
) -> None:
    config = yaml.safe_load((REPOSITORY / "cluster" / "serve.yaml").read_text())
    [port], keys = free_ports(1), tmp_path / "keys.json"
    _, key = create_key(keys, "score", datetime.now(UTC))
    config["http_options"]["port"] = port
    config["applications"][0]["args"] = {
        "artifact": str(tiny_artifact),
        "events": str(tiny_shop.data),
        "keys": str(keys),
    }
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
    with running([str(tmp_path / "serve.yaml")], port, key, keys, tmp_path / "log") as service:
        with Client(key, service.url) as client:
            [answer] = client.value([{"customer_id": customer_ids[0]}])
    assert answer["customer_id"] == customer_ids[0]
