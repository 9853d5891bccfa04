"""Events acknowledged while parts of the service are killed, counted in the log after; and how fast the log is.

`python -m benchmarks.event_log --artifact FOLDER --data FOLDER`: 10,000 events from four callers,
who repeat what was not acknowledged, while gateways, models, HAProxy and the controller are killed
in turn, and twice the whole service. Then groups of events by the log's own writer and by plain
sqlite3, in turn.
"""

import argparse
import itertools
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from sqlalchemy import func, select

from benchmarks.harness.evidence import write_evidence
from benchmarks.harness.log_speed import GROUP_EVENTS, event_of, speeds
from benchmarks.harness.ports import free_ports
from benchmarks.harness.served import Service, start
from lifecycle.folders import MANIFEST
from lifecycle.log.opening import open_log
from lifecycle.log.schema import EVENTS
from serving.client import Client, Retries, ServiceError
from serving.keys import create_key

NUM_EVENTS = 10_000
EVENTS_PER_REQUEST = 20
NUM_CALLERS = 4
PART_KILLS = 12
WHOLE_KILLS = 2
PARTS = ("Gateway", "haproxy", "ServeController", "ValueModel")
RECOVERY_SECONDS = 240.0  # within which events are acknowledged again after a kill
RETRY_SECONDS = 0.5
ONCE = Retries(attempts=1)  # repeats are ours, until an answer comes
logger = logging.getLogger(__name__)


@dataclass
class Sent:
    """What callers have been told so far."""

    acknowledged: list[str] = field(default_factory=list)
    accepted: int = 0  # as new
    repeats: int = 0  # requests that were made again
    ended: bool = False  # nobody waits for the rest
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("--artifact", type=Path, default=Path("runs/demo/artifact"))
    parser.add_argument("--data", type=Path, default=Path("runs/demo/data"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        chaos = killed_while_writing(Path(name), options.artifact, options.data)
        ours, plain = speeds(Path(name))
    numbers = {
        **chaos,
        "ratio_to_plain_sqlite": ours / plain,
        "events_per_second": ours,
        "plain_events_per_second": plain,
        "group_events": GROUP_EVENTS,
    }
    write_evidence("event_log", numbers, seeds=[], data=[options.data / MANIFEST])


def killed_while_writing(folder: Path, artifact: Path, data: Path) -> dict[str, float]:
    """Send events while parts are killed, then compare what was acknowledged with what the log has."""
    [port] = free_ports(1)
    url = f"sqlite:///{folder / 'log.db'}"
    keys = folder / "keys.json"
    _, key = create_key(keys, "write", datetime.now(UTC))
    words = [f"artifact={artifact}", f"events={data}", f"log={url}", f"keys={keys}"]
    service = start(words, port, folder / "service.log")
    sent = Sent()
    began = time.monotonic()
    with ThreadPoolExecutor(NUM_CALLERS) as callers:
        ids = [f"event-{number:06d}" for number in range(NUM_EVENTS)]
        waiting = [
            callers.submit(send, service.url, key, ids[caller::NUM_CALLERS], sent)
            for caller in range(NUM_CALLERS)
        ]
        service, kills = kill_in_turn(service, words, port, folder / "service.log", sent)
        for each in waiting:
            each.result()
    seconds = time.monotonic() - began
    service.stop()
    log = open_log(url)
    with log.reading() as connection:
        counts = connection.execute(
            select(EVENTS.c.order_id, func.count()).group_by(EVENTS.c.order_id)
        )
        rows = {str(order): int(count) for order, count in counts}
    return {
        "events": len(sent.acknowledged),
        "kills": kills,
        "whole_service_kills": WHOLE_KILLS,
        "lost": sum(event_id not in rows for event_id in sent.acknowledged),
        "twice": sum(count > 1 for count in rows.values()),
        "never_sent": len(rows) - len(set(sent.acknowledged)),
        "repeated_requests": sent.repeats,
        "acknowledged_as_new": sent.accepted,
        "seconds": seconds,
    }


def send(url: str, key: str, ids: Sequence[str], sent: Sent) -> None:
    """Write events in small requests, each repeated until it is acknowledged."""
    for start_at in range(0, len(ids), EVENTS_PER_REQUEST):
        part = ids[start_at : start_at + EVENTS_PER_REQUEST]
        events = [event_of(event_id) for event_id in part]
        while True:
            try:
                with Client(key, url, timeout_seconds=20, retries=ONCE) as client:
                    accepted = client.send(events).accepted
                break
            except (ServiceError, httpx.HTTPError) as error:
                if isinstance(error, ServiceError) and error.status in (401, 403, 409, 422):
                    raise
                if sent.ended:
                    return
                with sent.lock:
                    sent.repeats += 1
                time.sleep(RETRY_SECONDS)
        with sent.lock:
            sent.acknowledged += part
            sent.accepted += accepted


def kill_in_turn(
    service: Service, words: list[str], port: int, log: Path, sent: Sent
) -> tuple[Service, int]:
    """Kill parts, and the whole service twice, each after as many events more were acknowledged.

    The service that runs at the end, and how many kills there were.
    """
    turns = itertools.cycle(PARTS)
    num_kills = PART_KILLS + WHOLE_KILLS
    try:
        for number in range(num_kills):
            wait_for(sent, (number + 1) * NUM_EVENTS // (num_kills + 1))
            if (number + 1) % (num_kills // WHOLE_KILLS) == 0:
                service.kill()
                name = "the whole service"
                service = start(words, port, log)
            else:
                name = next(turns)
                kill_part(service, name)
            logger.info("killed %s after %d events", name, len(sent.acknowledged))
    except BaseException:
        sent.ended = True
        service.kill()
        raise
    return service, num_kills


def wait_for(sent: Sent, num_events: int) -> None:
    """Until so many events are acknowledged; RuntimeError where none comes for long."""
    before = -1
    deadline = 0.0
    while len(sent.acknowledged) < num_events:
        if len(sent.acknowledged) > before:
            before = len(sent.acknowledged)
            deadline = time.monotonic() + RECOVERY_SECONDS
        if time.monotonic() > deadline:
            raise RuntimeError(f"no event was acknowledged for {RECOVERY_SECONDS:g} s")
        time.sleep(0.05)


def kill_part(service: Service, name: str, seconds: float = 120) -> None:
    """Kill the first process of a part, waiting for it where it is being started again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process in service.parts(name)[:1]:
            try:
                process.kill()
                return
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.5)
    raise RuntimeError(f"no process of {name} came back within {seconds:g} s")


if __name__ == "__main__":
    main()
