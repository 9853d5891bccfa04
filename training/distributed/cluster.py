"""Joining a Ray cluster, or starting one on this machine, with clear words where it is too small."""

import logging
import os
import socket
import sys
import time
from pathlib import Path

import ray

logger = logging.getLogger(__name__)
KNOCK_SECONDS = 10.0
RELEASE_SECONDS = 5.0  # in which a stage that has ended gives back what it held
LEAST_CPUS = 4  # logical: trainers, data tasks and drivers on two cores would otherwise wait for each other for ever


def start_ray() -> None:
    """Join the cluster of RAY_ADDRESS; without one, start a cluster on this machine that ends with the process.

    Raises ValueError where no cluster answers at RAY_ADDRESS.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        _join(os.environ["RAY_ADDRESS"])
    else:
        # All processes of the cluster inherit it; with a runtime environment Ray could not use the workers it starts
        # beforehand.
        os.environ.update(worker_environment())
        ray.init(
            num_cpus=_local_cpus(),
            include_dashboard=True,
            log_to_driver=True,
        )
    logger.info("Ray has %g CPUs", ray.cluster_resources().get("CPU", 0))


def _join(address: str) -> None:
    """Raises ValueError where no cluster lets us in at `address`."""
    try:
        _knock(address)
        ray.init(log_to_driver=True, runtime_env={"env_vars": _joined_environment(address)})
    except ConnectionError:
        raise ValueError(
            f"no Ray cluster lets us in at RAY_ADDRESS {address}; is it running? "
            "Clusters want a token unless they were told otherwise: set RAY_AUTH_MODE=token"
        ) from None


def _joined_environment(address: str) -> dict[str, str]:
    """Environment of workers of a cluster that runs already.

    Ray Train's own actors ask the cluster about each other. Left to themselves they ask the one
    that was started last on their machine, and end in a traceback where it is gone.
    """
    if _host_and_port(address) is None:
        return worker_environment()
    return worker_environment() | {"RAY_ADDRESS": address}


def _knock(address: str) -> None:
    """ConnectionError where nothing listens at `host:port`; Ray itself tries for minutes before it says so."""
    place = _host_and_port(address)
    if place is None:
        return
    try:
        socket.create_connection(place, KNOCK_SECONDS).close()
    except OSError as error:
        raise ConnectionError(str(error)) from None


def _host_and_port(address: str) -> tuple[str, int] | None:
    """Where Ray's head listens; None for words such as "auto" and "local"."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return (host, int(port)) if host and port.isdecimal() else None


def worker_environment() -> dict[str, str]:
    """Environment of every worker process, so that what one machine's set-up prepared is found."""
    return {
        "TORCH_EXTENSIONS_DIR": os.environ.get(
            "TORCH_EXTENSIONS_DIR", str(Path(sys.prefix) / "torch_extensions")
        ),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
        "PYTHONPATH": os.pathsep.join(
            filter(None, [os.getcwd(), os.environ.get("PYTHONPATH", "")])
        ),
    }


def start_ray_for(
    num_workers: int, cpus_per_worker: float, device: str, key: str = "num_workers"
) -> None:
    """`start_ray`, for workers as in `require_resources`: a machine too small for them is refused before Ray starts."""
    if not ray.is_initialized() and not os.environ.get("RAY_ADDRESS"):
        each = _worker_resources(cpus_per_worker, device)
        there = _of_this_machine(device)
        if short := _first_short(num_workers, each, there):
            raise ValueError(
                f"{_needed(num_workers, each, short, key)}, but Ray on this machine has {there[short]:g}; "
                f"lower {key}, or set RAY_ADDRESS to a cluster with room for them"
            )
    start_ray()
    require_resources(num_workers, cpus_per_worker, device, key)


def _of_this_machine(device: str) -> dict[str, float]:
    """What Ray will have where `start_ray` starts it here."""
    there = {"CPU": float(_local_cpus()), "GPU": 0.0}
    if device == "gpu":
        import torch  # seconds; Ray asks only once it has started

        there["GPU"] = float(torch.accelerator.device_count())
    return there


def _local_cpus() -> int:
    return max(LEAST_CPUS, os.cpu_count() or 1)


def require_resources(
    num_workers: int, cpus_per_worker: float, device: str, key: str = "num_workers"
) -> None:
    """ValueError where a recipe's workers find no room, for which they would otherwise wait for ever.

    What is free counts. A stage that has just ended holds its part for a second or two more, so
    this waits some seconds before it refuses. `key` is what the recipe calls the number of workers.
    """
    require_nodes(num_workers, cpus_per_worker, device, key)
    each = _worker_resources(cpus_per_worker, device)
    give_up_at = time.monotonic() + RELEASE_SECONDS
    while short := _first_short(num_workers, each, ray.available_resources()):
        if time.monotonic() > give_up_at:
            raise ValueError(_refusal(num_workers, each, short, key))
        time.sleep(0.2)


def require_nodes(
    num_workers: int, cpus_per_worker: float, device: str, key: str = "num_workers"
) -> None:
    """ValueError where the workers of a recipe found no room even if nobody else used the cluster."""
    each = _worker_resources(cpus_per_worker, device)
    if short := _first_short(num_workers, each, ray.cluster_resources()):
        raise ValueError(_refusal(num_workers, each, short, key))


def _worker_resources(cpus_per_worker: float, device: str) -> dict[str, float]:
    """What one worker takes of the cluster, by Ray's names."""
    return {"CPU": cpus_per_worker, "GPU": 1.0 if device == "gpu" else 0.0}


def _first_short(num_workers: int, each: dict[str, float], there: dict[str, float]) -> str | None:
    """The first resource of which there is less than all workers take."""
    for name, amount in each.items():
        if round(num_workers * amount, 4) > there.get(name, 0.0):
            return name
    return None


def _needed(num_workers: int, each: dict[str, float], short: str, key: str) -> str:
    amount = each[short]
    return f"{key} is {num_workers} with {amount:g} {short} each = {num_workers * amount:g}"


def _refusal(num_workers: int, each: dict[str, float], short: str, key: str) -> str:
    total = ray.cluster_resources().get(short, 0.0)
    free = ray.available_resources().get(short, 0.0)
    return (
        f"{_needed(num_workers, each, short, key)}, but of the Ray cluster's {total:g} {short} {free:g} are "
        f"free and {total - free:g} taken; lower {key}, end the job or service that takes them, "
        "or add nodes"
    )
