"""Joining a Ray cluster, or starting one on this machine, with clear words where it is too small."""

import logging
import os
import socket
import sys
from pathlib import Path

import ray

logger = logging.getLogger(__name__)
KNOCK_SECONDS = 10.0
LEAST_CPUS = 4  # logical: trainers, data tasks and drivers on two cores would otherwise wait for each other for ever


def start_ray() -> None:
    """Join the cluster of RAY_ADDRESS; without one, start a cluster on this machine that ends with the process.

    Raises ValueError where no cluster answers at RAY_ADDRESS.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        _join({"env_vars": worker_environment()})
    else:
        # All processes of the cluster inherit it; with a runtime environment Ray could not use the workers it starts
        # beforehand.
        os.environ.update(worker_environment())
        ray.init(
            num_cpus=max(LEAST_CPUS, os.cpu_count() or 1),
            include_dashboard=True,
            log_to_driver=True,
        )
    logger.info("Ray has %g CPUs", ray.cluster_resources().get("CPU", 0))


def _join(environment: dict[str, dict[str, str]]) -> None:
    address = os.environ["RAY_ADDRESS"]
    try:
        _knock(address)
        ray.init(log_to_driver=True, runtime_env=environment)
    except ConnectionError:
        raise ValueError(
            f"no Ray cluster lets us in at RAY_ADDRESS {address}; is it running? "
            "Clusters want a token unless they were told otherwise: set RAY_AUTH_MODE=token"
        ) from None


def _knock(address: str) -> None:
    """ConnectionError where nothing listens at `host:port`; Ray itself tries for minutes before it says so."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # "auto", "local"
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        raise ConnectionError(str(error)) from None


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


def require_resources(num_workers: int, cpus_per_worker: float, device: str) -> None:
    """ValueError where the cluster cannot hold the workers of a recipe, which would otherwise wait for ever."""
    resources = ray.cluster_resources()
    for name, each in (("CPU", cpus_per_worker), ("GPU", 1.0 if device == "gpu" else 0.0)):
        needed = num_workers * each
        there = resources.get(name, 0.0)
        if needed > there:
            raise ValueError(
                f"num_workers is {num_workers} with {each:g} {name} each = {needed:g}, "
                f"but the Ray cluster has {there:g} {name}; lower num_workers or add nodes"
            )
