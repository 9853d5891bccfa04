"""Training on a cluster of two nodes, each a raylet of its own, of which one is lost on the way."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.builders import TinyShop
from tests.integration.runs import (
    CHECKPOINT_STEPS,
    LONG_STEPS,
    finish,
    last_step,
    metrics_of,
    processes_of,
    resumed_steps,
    start,
    wait_for_step,
    write_recipe,
)

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.thorough]
FULL = ("lora=null", "zero.stage=3")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without room for workers, and two nodes with room for one each."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # this way of starting nodes hands out no token
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": True}
    )
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def recipe(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "text.yaml", tiny_shop, tiny_base_model)


def raylets_of(name: str) -> set[int]:
    """Process ids of the raylets that have a process of this name below them."""
    return {process.ppid() for process in processes_of(name)}


def lose_a_node(cluster: Cluster) -> None:
    """SIGKILL all processes of a node with a worker; the driver's own node lives, as a lost driver is another test."""
    assert len(raylets_of("RayTrainWorker")) == 2
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in cluster.worker_nodes}
    [lost, *_] = set(raylets) - raylets_of("TrainController")
    cluster.remove_node(raylets[lost], allow_graceful=False)


@pytest.mark.parametrize("changes", [(), FULL], ids=["LoRA", "all weights, ZeRO-3"])
def test_lost_node_leaves_fewer_workers_and_the_same_result(
    cluster: Cluster, recipe: Path, tmp_path: Path, changes: tuple[str, ...]
) -> None:
    alone = start(recipe, None, "num_workers=0", f"output={tmp_path / 'alone'}", *changes)
    output = tmp_path / "two-nodes"
    limits = "min_workers=1", "start_timeout_seconds=10"
    process = start(recipe, cluster.address, f"output={output}", *limits, *changes)
    wait_for_step(output, 80)
    lose_a_node(cluster)
    killed_at = last_step(output)
    log = finish(process)
    [(step, num_workers)] = resumed_steps(log)
    assert killed_at - CHECKPOINT_STEPS <= step < LONG_STEPS and num_workers == 1
    finish(alone)
    assert metrics_of(output) == pytest.approx(metrics_of(tmp_path / "alone"), rel=1e-3)


def test_run_waits_for_a_node_in_place_of_the_lost_one(
    cluster: Cluster, recipe: Path, tmp_path: Path
) -> None:
    process = start(recipe, cluster.address, "start_timeout_seconds=60", f"output={tmp_path}")
    wait_for_step(tmp_path, 40)
    lose_a_node(cluster)
    cluster.add_node(num_cpus=1)
    log = finish(process)
    [(step, num_workers)] = resumed_steps(log)
    assert 0 < step < LONG_STEPS and num_workers == 2


def test_workers_that_cannot_start_end_in_an_error_not_in_a_hang(
    cluster: Cluster, recipe: Path, tmp_path: Path
) -> None:
    """Two CPUs are free, but not on one node."""
    limits = "start_timeout_seconds=10", "max_failures=0", "num_workers=1", "cpus_per_worker=2"
    log = finish(start(recipe, cluster.address, *limits, f"output={tmp_path}"), status=1)
    assert re.search(
        r"^training.run: the workers did not start: .* timed out after 10", log, re.MULTILINE
    )
