"""What is refused before Ray starts; clusters that run are tests/integration/training/test_refused.py."""

import pytest
import ray

from training.distributed.cluster import start_ray_for


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cpu", "num_workers is 999 with 2 CPU each = 1998, but Ray on this machine has"),
        ("gpu", "num_workers is 999 with 1 GPU each = 999, but Ray on this machine has"),
    ],
)
def test_machine_that_is_too_small_is_told_before_ray_starts(
    device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    cpus_per_worker = 2.0 if device == "cpu" else 0.0
    with pytest.raises(ValueError, match=message):
        start_ray_for(999, cpus_per_worker, device)
    assert not ray.is_initialized()
