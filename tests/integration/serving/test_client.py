"""Both clients at a server that fails on purpose."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from serving.calls import Retries
from serving.client import AsyncClient, Client, ServiceError

pytestmark = pytest.mark.integration
DROP = 0  # in place of a status: the connection is reset
QUICK = Retries(pause_seconds=0.01)


@dataclass
class Failing:
    """A server that answers with the statuses planned, one after the other, and then with 200."""

    url: str
    planned: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Failing]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            failing.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            status = failing.planned.pop(0) if failing.planned else 200
            if status == DROP:
                linger = struct.pack("ii", 1, 0)  # reset, not closed in order
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
                return
            answer = (
                {"accepted": 1, "duplicates": 0, "refused": 0}
                if status == 200
                else {"detail": "not now"}
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        failing = Failing(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield failing
        http.shutdown()
        thread.join()


EVENT = {"event_id": "e", "customer_id": "c"}


@pytest.mark.parametrize("planned", [[503, 429], [DROP, 500], [502, DROP]])
def test_third_attempt_is_answered(server: Failing, planned: list[int]) -> None:
    server.planned = [*planned]
    with Client("key", server.url, retries=QUICK) as client:
        assert client.send([EVENT]).accepted == 1
        assert client.calls.failed_first == 1
        assert client.send([EVENT]).accepted == 1 and client.calls.failed_first == 1
    assert server.bodies == [json.dumps({"events": [EVENT]}, separators=(",", ":")).encode()] * 4


def test_twin_does_the_same_for_many_at_once(server: Failing) -> None:
    server.planned = [503, DROP, 500, 429]

    async def ask() -> int:
        async with AsyncClient("key", server.url, retries=Retries(5, pause_seconds=0.01)) as client:
            told = await asyncio.gather(*(client.send([EVENT]) for _ in range(8)))
            return sum(one.accepted for one in told)

    assert asyncio.run(ask()) == 8
    assert len(server.bodies) == 12


def test_after_the_last_attempt_the_failure_is_told(server: Failing) -> None:
    server.planned = [503] * 3
    with Client("key", server.url, retries=QUICK) as client:
        with pytest.raises(ServiceError, match="503: not now"):
            client.send([EVENT])
        server.planned = [DROP] * 3
        with pytest.raises(httpx.TransportError):
            client.send([EVENT])
    assert len(server.bodies) == 6
