"""What callers see while replicas are killed: questions at 30 % of capacity, one replica killed every ten seconds.

`python -m benchmarks.serve_chaos --artifact FOLDER --data FOLDER [--minutes 5] [--capacity-seconds 60]`:
values of customers who have state (70 %) and of customers by their events (20 %), recommendations (10 %), by
one process through the client of the product with its three tries. Capacity is the highest rate
over some seconds without an error, of several numbers of callers who ask one question after another.
"""

import argparse
import asyncio
import collections
import json
import logging
import random
import tempfile
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import psutil
from pydantic import JsonValue

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.ports import free_ports
from benchmarks.harness.served import Service, start
from benchmarks.harness.state import make_state
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.folders import MANIFEST
from serving.client import AsyncClient, ServiceError
from serving.keys import create_key
from serving.store.events import EventStore

SHARE_OF_CAPACITY = 0.3
KILL_SECONDS = 10.0
CALLERS = (4, 16, 32)  # of which each capacity is measured
KNOWN, BY_EVENTS = 0.7, 0.2  # shares of questions; the rest are recommendations
NUM_CUSTOMERS = 500
EVENTS_SENT = ("event_id", "occurred_at", "kind", "order_id", "item_id", "quantity", "amount")
DEPLOYMENTS = ("Gateway", "ValueModel", "Recommender")
REPLICA = "ServeReplica"  # in the name of its process
SEED = 0
logger = logging.getLogger(__name__)


@dataclass
class Asked:
    """What became of the questions of a stretch of time."""

    seconds: list[float] = field(default_factory=list)  # of each that was answered
    failures: collections.Counter[str] = field(default_factory=collections.Counter)
    failed_first: int = 0

    @property
    def requests(self) -> int:
        """Answered or not."""
        return len(self.seconds) + self.failures.total()


@dataclass(frozen=True)
class Questions:
    """What may be asked: ids of known customers, and customers told by their events."""

    known: list[str]
    by_events: list[dict[str, JsonValue]]

    async def ask(self, client: AsyncClient, chance: random.Random) -> None:
        """One question of the mix."""
        drawn = chance.random()
        if drawn < KNOWN:
            await client.value([{"customer_id": chance.choice(self.known)}])
        elif drawn < KNOWN + BY_EVENTS:
            await client.value([chance.choice(self.by_events)])
        else:
            await client.recommendations([{"customer_id": chance.choice(self.known)}])


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("--artifact", type=Path, default=Path("runs/demo/artifact"))
    parser.add_argument("--data", type=Path, default=Path("runs/demo/data"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--capacity-seconds", type=float, default=60.0)
    options = parser.parse_args()
    questions = questions_of(options.data)
    with tempfile.TemporaryDirectory() as name:
        [port], keys = free_ports(1), Path(name) / "keys.json"
        _, key = create_key(keys, "score", datetime.now(UTC))
        state, log = Path(name) / "state", f"sqlite:///{Path(name) / 'log.db'}"
        make_state(state, options.artifact, options.data)
        words = [f"artifact={options.artifact}", f"events={options.data}", f"state={state}"]
        words.append(f"keys={keys}")
        began = time.monotonic()
        service = start([*words, f"log={log}"], port, Path(name) / "service.log")
        ready_seconds = time.monotonic() - began
        try:
            numbers = asyncio.run(measured(service, key, questions, options))
        finally:
            service.stop()
    start_up = {"seconds_to_ready": ready_seconds, "caller_processes": 1}
    data = [options.data / MANIFEST]
    write_evidence("serve_chaos", {**numbers, **start_up}, seeds=[SEED], data=data)


def questions_of(data: Path) -> Questions:
    """Of the first NUM_CUSTOMERS buyers of an ingest folder; half as many are told by their events."""
    parts = [read_shard(path, ["customer_id", "kind"]) for path in shard_paths(data)]
    bought = pl.concat(parts).filter(pl.col("kind") == "purchase")
    known = bought["customer_id"].unique().sort().head(NUM_CUSTOMERS).to_list()
    events = EventStore(data).events_of(known[: NUM_CUSTOMERS // 2])
    rows = [own.select(EVENTS_SENT).write_json() for own in events.values()]
    return Questions(known, [{"events": told(text)} for text in rows])


def told(events: str) -> list[JsonValue]:
    """The rows of a table as a request has them: without what is not known."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in json.loads(events)
    ]


async def measured(
    service: Service, key: str, questions: Questions, options: argparse.Namespace
) -> dict[str, Json]:
    """Capacity first, then the same mix at a share of it while replicas are killed."""
    capacity = 0.0
    for callers in CALLERS:
        asked = await steadily(service.url, key, questions, callers, options.capacity_seconds)
        rate = asked.requests / options.capacity_seconds
        logger.info("%d callers: %.1f requests/s, %d errors", callers, rate, asked.failed_first)
        if not asked.failed_first:
            capacity = max(capacity, rate)
    rate = SHARE_OF_CAPACITY * capacity
    seconds = 60.0 * options.minutes
    killing = asyncio.create_task(asyncio.to_thread(kill_replicas, service, seconds))
    asked = await evenly(service.url, key, questions, rate, seconds)
    kills = await killing
    median, slow = np.quantile(asked.seconds, [0.5, 0.99])
    return {
        "minutes": options.minutes,
        "kills": kills.total(),
        "requests": asked.requests,
        "failed": asked.failures.total(),
        "failed_before_retry": asked.failed_first,
        "failed_before_retry_share": asked.failed_first / asked.requests,
        "failures": dict(asked.failures),
        "kills_by_deployment": dict(kills),
        "capacity_per_second": capacity,
        "rate_per_second": rate,
        "p50_ms": 1000 * float(median),
        "p99_ms": 1000 * float(slow),
    }


async def steadily(url: str, key: str, questions: Questions, callers: int, seconds: float) -> Asked:
    """Callers who ask one question after another."""
    asked, chance = Asked(), random.Random(SEED)
    ends_at = time.monotonic() + seconds
    async with AsyncClient(key, url) as client:

        async def caller() -> None:
            while time.monotonic() < ends_at:
                await timed(asked, questions.ask(client, chance))

        await asyncio.gather(*(caller() for _ in range(callers)))
        asked.failed_first = client.calls.failed_first
    return asked


async def evenly(url: str, key: str, questions: Questions, rate: float, seconds: float) -> Asked:
    """Questions at even distances, whether or not those before are answered."""
    asked, chance = Asked(), random.Random(SEED)
    began = time.monotonic()
    async with AsyncClient(key, url) as client, asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(began + number / rate - time.monotonic(), 0.0))
            group.create_task(timed(asked, questions.ask(client, chance)))
    asked.failed_first = client.calls.failed_first
    return asked


async def timed(asked: Asked, question: Awaitable[None]) -> None:
    """Ask, and note how long it took or why there is no answer."""
    began = time.monotonic()
    try:
        await question
        asked.seconds.append(time.monotonic() - began)
    except (ServiceError, httpx.TransportError) as error:
        logger.info("failed: %r", error)
        asked.failures[repr(error)[:80]] += 1


def kill_replicas(service: Service, seconds: float) -> collections.Counter[str]:
    """Kill one of the replicas every KILL_SECONDS, whichever is up; how many of each deployment."""
    chance, kills = random.Random(SEED), collections.Counter[str]()
    began = time.monotonic()
    for number in range(1, int(seconds / KILL_SECONDS)):
        time.sleep(max(began + number * KILL_SECONDS - time.monotonic(), 0.0))
        replicas = sorted(service.parts(REPLICA), key=lambda process: process.pid)
        if not replicas:
            continue
        replica = chance.choice(replicas)
        with suppress(psutil.NoSuchProcess):
            name = deployment_of(replica)
            replica.kill()
            kills[name] += 1
            logger.info("killed %s, one of %d replicas", name, len(replicas))
    return kills


def deployment_of(replica: psutil.Process) -> str:
    """Out of the name of its process, as in `ray::SERVE_REPLICA::default#Gateway#bxlsu1pf`."""
    title = " ".join([replica.name(), *replica.cmdline()])
    return next((name for name in DEPLOYMENTS if name in title), "starting")


if __name__ == "__main__":
    main()
