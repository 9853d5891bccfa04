"""The service of a pipeline, called once: a key of its own, real requests, an end."""

import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
from pydantic import JsonValue

from lifecycle.events.schema import is_purchase
from training.pipeline.recipe import ServeStage

logger = logging.getLogger(__name__)
SERVE_DEADLINE_SECONDS = 180


def call_service(stage: ServeStage, output: Path) -> dict[str, JsonValue]:
    """Start the service with a key of its own, send it real requests, stop it; returns each endpoint's answer."""
    from lifecycle.artifact.contents import read_artifact_manifest

    folder = Path(tempfile.mkdtemp(prefix="evervalue-keys-"))
    keys = folder / "keys.json"
    create = [
        sys.executable,
        "-m",
        "serving.keys",
        "create",
        "--scope",
        "score",
        "--path",
        str(keys),
    ]
    key = subprocess.run(create, check=True, capture_output=True, text=True).stdout.split()[-1]
    customers = [{"customer_id": name} for name in first_customers(stage.events, stage.customers)]
    requests = {
        "GET /healthz": ("GET", "/healthz", None),
        "GET /v1/model": ("GET", "/v1/model", None),
        "POST /v1/value": ("POST", "/v1/value", {"customers": customers}),
        "POST /v1/recommendations": (
            "POST",
            "/v1/recommendations",
            {"customers": customers, "k": 5},
        ),
    }
    if read_artifact_manifest(stage.artifact).recommender is None:
        del requests["POST /v1/recommendations"]  # the data name no items
    with (
        _running_service(stage, keys, output / "serve.log") as url,
        httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
        ) as client,
    ):
        answers: dict[str, JsonValue] = {}
        for name, (method, path, body) in requests.items():
            response = client.request(method, path, json=body)
            if response.status_code != 200:
                raise ValueError(f"{name} answered {response.status_code}: {response.text[:500]}")
            answers[name] = response.json()
            logger.info("%s: 200 in %.0f ms", name, response.elapsed.total_seconds() * 1000)
    shutil.rmtree(folder)
    return answers


def first_customers(data: Path, count: int) -> list[str]:
    """The first customers by id that have bought something."""
    bought = pl.scan_parquet(data / "events" / "*.parquet").filter(is_purchase())
    names: list[str] = (
        bought.select(pl.col("customer_id").unique().sort().head(count))
        .collect()["customer_id"]
        .to_list()
    )
    return names


@contextmanager
def _running_service(stage: ServeStage, keys: Path, log: Path) -> Iterator[str]:
    """`serve run` in a process of its own, ended at the end; yields its URL once it is healthy."""
    command = [
        str(Path(sys.executable).parent / "serve"),
        "run",
        "serving.app:build",
        f"artifact={stage.artifact}",
        f"events={stage.events}",
        f"keys={keys}",
        f"port={stage.port}",
    ]
    url = f"http://127.0.0.1:{stage.port}"
    if _is_healthy(url):
        raise ValueError(f"another service answers at {url} already; end it or set serve.port")
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            give_up_at = time.monotonic() + SERVE_DEADLINE_SECONDS
            while not _is_healthy(url):
                if process.poll() is not None or time.monotonic() > give_up_at:
                    raise ValueError(
                        f"the service did not start; see {log}:\n{log.read_text()[-2000:]}"
                    )
                time.sleep(0.5)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=60)


def _is_healthy(url: str) -> bool:
    try:
        # A proxy is not asked.
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
