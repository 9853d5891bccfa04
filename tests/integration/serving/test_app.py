"""How the service starts, where it listens, and what keeps it from starting."""

from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import httpx
import psutil
import pytest
import yaml

from lifecycle.state.answers import body_of
from lifecycle.state.lookup import CustomerState
from serving.client import Client
from serving.keys import create_key
from tests.builders import REPOSITORY, TinyShop
from tests.integration.serving.service import Service, free_ports, run_serve, running
from training.score.job import score
from training.score.recipe import ScoreConfig

pytestmark = [pytest.mark.integration, pytest.mark.alone]
REPLICA_PORTS = range(30000, 31000)


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


@pytest.mark.thorough
def test_serve_yaml_runs_as_it_stands_but_for_paths_and_port(
    tiny_shop: TinyShop, tiny_artifact: Path, customer_ids: list[str], tmp_path: Path
) -> None:
    config = yaml.safe_load((REPOSITORY / "cluster" / "serve.yaml").read_text())
    [port], keys = free_ports(1), tmp_path / "keys.json"
    _, key = create_key(keys, "score", datetime.now(UTC))
    config["http_options"]["port"] = port
    state = tmp_path / "state"
    score(ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, state=state))
    config["applications"][0]["args"] = {
        "state": str(state),
        "artifact": str(tiny_artifact),
        "events": str(tiny_shop.data),
        "keys": str(keys),
    }
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(config))
    with running([str(tmp_path / "serve.yaml")], port, key, keys, tmp_path / "log") as service:
        with Client(key, service.url) as client:
            [answer] = client.value([{"customer_id": customer_ids[0]}])
        kept = CustomerState(state).find(customer_ids[0])
        known = httpx.post(
            f"{service.url}/v1/value",
            json={"customers": [{"customer_id": customer_ids[0]}]},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        )
    assert answer.customer_id == customer_ids[0] and kept is not None
    assert known.content == body_of([kept]) and known.headers["State-Age"].isdecimal()
