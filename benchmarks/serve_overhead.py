"""What the service costs beside plain FastAPI: `python -m benchmarks.serve_overhead [--artifact FOLDER --data FOLDER]`.

The service runs as `make serve` starts it, with state and an SQLite log. Known customers are asked
for by id, one a request, beside one uvicorn worker that checks a key and returns the same bytes
from a dict. Customers described by their last EVENTS events are computed, beside the same predictor
in plain FastAPI. Load by wrk, in turns; every number is the median of its rounds. With HEADER a
caller says that it does not hang up before the answer, which saves Serve two tasks.
"""

import argparse
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from os import environ
from pathlib import Path

import httpx
import polars as pl

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.ports import free_ports
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.served import start
from benchmarks.harness.state import make_state
from benchmarks.harness.wrk import Load, load
from lifecycle.folders import MANIFEST
from lifecycle.state.files import CUSTOMERS_FILE
from serving.keys import create_key, hash_secret
from serving.store.events import EventStore

HEADER = "x-request-disconnect-disabled"
EVENTS = 50
COMPUTED_CUSTOMERS = 200
START_SECONDS = 120.0
COLUMNS = ("event_id", "occurred_at", "kind", "order_id", "item_id", "quantity", "amount")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """A load that is measured: where, what, by how many connections."""

    name: str
    url: str
    bodies: Path
    connections: int
    header: str = ""


def main() -> None:
    """Measure, print, write the evidence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", type=Path, default=Path("runs/demo/artifact"))
    parser.add_argument("--data", type=Path, default=Path("runs/demo/data"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with scratch_folder() as folder:
        cost = make_state(folder / "state", options.artifact, options.data)
        found = measured(folder, options.artifact, options.data, options.rounds, options.seconds)
        numbers = numbers_of(found) | cost
    write_evidence("serve_overhead", numbers, seeds=[], data=[options.data / MANIFEST])


def measured(
    folder: Path, artifact: Path, data: Path, rounds: int, seconds: int
) -> dict[str, list[Load]]:
    """The loads of every case, round by round."""
    state = folder / "state"
    ids = pl.read_parquet(state / CUSTOMERS_FILE)["customer_id"].to_list()
    known = written(folder / "known.txt", [{"customer_id": customer} for customer in ids])
    described = written(folder / "computed.txt", histories(data, ids[:COMPUTED_CUSTOMERS]))
    keys = folder / "keys.json"
    _, key = create_key(keys, "score", datetime.now(UTC))
    ours, theirs = free_ports(2)
    words = [f"artifact={artifact}", f"events={data}", f"state={state}", f"keys={keys}"]
    words.append(f"log=sqlite:///{folder / 'log.db'}")
    service = start(words, ours, folder / "service.log")
    plain = {"KEY_SHA256": hash_secret(key), "STATE": str(state), "DATA": str(data)}
    try:
        with running_peer(theirs, plain | {"ARTIFACT": str(artifact)}, folder / "peer.log"):
            cases = cases_of(service.url, f"http://127.0.0.1:{theirs}", known, described)
            require_same_answers(cases, key)
            found: dict[str, list[Load]] = {case.name: [] for case in cases}
            for _ in range(rounds):
                for case in cases:
                    one = load(
                        case.url,
                        case.bodies,
                        key,
                        connections=case.connections,
                        seconds=seconds,
                        header=case.header,
                    )
                    logger.info("%s: %.0f/s, p50 %.2f ms", case.name, one.per_second, one.p50_ms)
                    found[case.name].append(one)
    finally:
        service.stop()
    return found


def cases_of(ours: str, theirs: str, known: Path, described: Path) -> list[Case]:
    """Ours and theirs in turn."""
    return [
        Case("known_32", f"{ours}/v1/value", known, 32),
        Case("plain_known_32", f"{theirs}/known", known, 32),
        Case("known_32_with_header", f"{ours}/v1/value", known, 32, HEADER),
        Case("known_1", f"{ours}/v1/value", known, 1),
        Case("plain_known_1", f"{theirs}/known", known, 1),
        Case("known_1_with_header", f"{ours}/v1/value", known, 1, HEADER),
        Case("computed_32", f"{ours}/v1/value", described, 32),
        Case("plain_computed_32", f"{theirs}/computed", described, 32),
    ]


def numbers_of(found: dict[str, list[Load]]) -> dict[str, Json]:
    """The keys of the evidence, from medians."""
    per_second = {
        name: statistics.median(one.per_second for one in loads) for name, loads in found.items()
    }
    p50_ms = {name: statistics.median(one.p50_ms for one in loads) for name, loads in found.items()}
    return {
        "known_rps": per_second["known_32"],
        "known_rps_ratio_to_fastapi_32": per_second["known_32"] / per_second["plain_known_32"],
        "known_p50_ratio_to_fastapi_1": p50_ms["known_1"] / p50_ms["plain_known_1"],
        "known_rps_ratio_with_header": per_second["known_32_with_header"]
        / per_second["plain_known_32"],
        "known_p50_ratio_with_header": p50_ms["known_1_with_header"] / p50_ms["plain_known_1"],
        "computed_rps_ratio_to_fastapi_32": per_second["computed_32"]
        / per_second["plain_computed_32"],
        "per_second": per_second,
        "p50_ms": p50_ms,
        "failed": sum(one.failed for loads in found.values() for one in loads),
        "events_per_computed_customer": EVENTS,
    }


def written(path: Path, customers: list[dict[str, object]]) -> Path:
    """A file with a request for each customer on a line."""
    path.write_text("".join(json.dumps({"customers": [one]}) + "\n" for one in customers))
    return path


def histories(data: Path, customer_ids: list[str]) -> list[dict[str, object]]:
    """The last events of customers, as a request describes them."""
    found = EventStore(data).events_of(customer_ids)
    return [
        {
            "customer_id": customer,
            "events": [
                {name: row[name] for name in COLUMNS} | {"occurred_at": f"{row['occurred_at']}"}
                for row in found[customer].tail(EVENTS).iter_rows(named=True)
            ],
        }
        for customer in customer_ids
    ]


def require_same_answers(cases: list[Case], key: str) -> None:
    """Both sides say the same to the first request; AssertionError where they do not."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    by_bodies: dict[Path, list[object]] = {}
    for case in cases:
        body = case.bodies.read_text().splitlines()[0].encode()
        response = httpx.post(case.url, content=body, headers=headers, timeout=60, trust_env=False)
        assert response.status_code == 200, (case, response.text)
        by_bodies.setdefault(case.bodies, []).append(response.json())
    for bodies, answers in by_bodies.items():
        assert all(answer == answers[0] for answer in answers), f"answers differ for {bodies}"


@contextmanager
def running_peer(port: int, environment: dict[str, str], log: Path) -> Iterator[None]:
    """One uvicorn worker, ended at the end."""
    words = ["--factory", "benchmarks.peers.plain_fastapi:create", "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", *words, "--no-access-log"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{port}/docs", trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
