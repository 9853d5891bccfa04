"""Runs that a real cluster or its workers refuse: in one line, and at once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from tests.integration.runs import (
    finish,
    start,
)

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_more_workers_than_the_cluster_has_are_refused_before_anything_starts(
    cluster: str, recipe: Path, tmp_path: Path
) -> None:
    log = finish(
        start(recipe, cluster, "num_workers=9", "global_batch=36", f"output={tmp_path / 'text'}"),
        status=1,
    )
    assert (
        "num_workers is 9 with 1 CPU each = 9, but of the Ray cluster's 8 CPU 8 are free and 0 taken"
        in log
    )
    assert "Traceback" not in log
    assert not (tmp_path / "text" / "ray").exists()


def test_mistake_that_workers_find_ends_the_run_at_once_in_one_line(
    cluster: str, recipe: Path, tmp_path: Path
) -> None:
    log = finish(start(recipe, cluster, "max_tokens=50", f"output={tmp_path}"), status=1)
    assert re.search(
        r"^training.run: max_tokens is 50, but a prompt has \d+ tokens$", log, re.MULTILINE
    )
    assert "Traceback" not in log and "Error in training function" not in log
    assert not (tmp_path / "progress.jsonl").exists()


def test_cluster_that_does_not_answer_is_named(recipe: Path, tmp_path: Path) -> None:
    log = finish(start(recipe, "127.0.0.1:9", f"output={tmp_path / 'text'}"), status=1)
    assert re.search(
        r"^training.run: no Ray cluster lets us in at RAY_ADDRESS 127.0.0.1:9", log, re.MULTILINE
    )
    assert not (tmp_path / "text" / "member").exists()


@contextmanager
def cpus_taken(count: int) -> Iterator[None]:
    """Somebody else's work that holds CPUs of the cluster."""
    group = ray.util.placement_group([{"CPU": count}])
    ray.get(group.ready())
    yield
    ray.util.remove_placement_group(group)


def test_cpus_that_others_hold_are_told_within_seconds(
    cluster: str, recipe: Path, tmp_path: Path
) -> None:
    with cpus_taken(7):
        log = finish(start(recipe, cluster, f"output={tmp_path}"), status=1)
    assert re.search(
        r"^training.run: num_workers is 2 .* of the Ray cluster's 8 CPU 1 are free and 7 taken",
        log,
        re.MULTILINE,
    )
    assert "Traceback" not in log
