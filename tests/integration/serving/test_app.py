"""How the service starts, where it listens, and what keeps it from starting."""

from pathlib import Path
from shutil import copytree

import psutil
import pytest

from tests.builders import TinyShop
from tests.integration.serving.service import Service, run_serve

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
