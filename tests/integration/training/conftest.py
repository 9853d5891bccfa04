"""A cluster that all tests here share, and a recipe of the tiny shop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from tests.builders import TinyShop
from tests.integration.runs import write_recipe

NUM_CPUS = 8  # logical: four runs of two workers at once


@pytest.fixture(scope="package")
def cluster() -> Iterator[str]:
    """Address of a cluster that belongs to this process."""
    ray.init(num_cpus=NUM_CPUS, include_dashboard=True, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="package")
def recipe(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training recipe of the tiny shop; every run gives its own output."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "text.yaml", tiny_shop, tiny_base_model)
