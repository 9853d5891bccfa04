"""Ports of loopback for services that tests and benchmarks start."""

import os
import random
import socket

from training.pipeline.job import SERVE_FLAGS

# Below the ports that systems lend to clients (from 32,768), Serve's replicas (from 30,000) and above
# Ray's workers (to 19,999): nobody takes one of these unasked before the service listens on it.
UNASKED = range(20_000, 30_000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    ports: list[int] = []
    for port in random.sample(UNASKED, len(UNASKED)):
        if len(ports) == count:
            break
        if _is_free(port):
            ports.append(port)
    return ports


def serve_environment() -> dict[str, str]:
    """Of a service on a Ray of its own, beside others: the flags of `make serve`, and free ports."""
    metrics, stats, fallback = free_ports(3)
    ports = {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
    }
    return os.environ | SERVE_FLAGS | ports | {"RAY_ADDRESS": "local"}


def _is_free(port: int) -> bool:
    with socket.socket() as server:
        try:
            server.bind(("", port))
        except OSError:
            return False
    return True
