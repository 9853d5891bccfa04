"""Ports of loopback for services that tests and benchmarks start."""

import random
import socket

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


def _is_free(port: int) -> bool:
    with socket.socket() as server:
        try:
            server.bind(("", port))
        except OSError:
            return False
    return True
