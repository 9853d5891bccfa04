"""An SQLite log is for one host: a cluster of two nodes is refused when the service starts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from benchmarks.harness.ports import free_ports
from serving.keys import create_key
from tests.builders import TinyShop
from tests.integration.serving.service import run_serve

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.thorough]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head and another node."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # this way of starting nodes hands out no token
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def test_two_nodes_need_postgres(
    cluster: Cluster, tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    create_key(tmp_path / "keys.json", "score", datetime.now(UTC))
    ended = run_serve(
        "serving.app:build",
        f"artifact={tiny_artifact}",
        f"events={tiny_shop.data}",
        f"keys={tmp_path / 'keys.json'}",
        f"log=sqlite:///{tmp_path / 'log.db'}",
        f"port={free_ports(1)[0]}",
        RAY_ADDRESS=cluster.address,
    )
    assert ended.returncode != 0
    assert "the cluster has 2 nodes; several need PostgreSQL" in ended.stderr
