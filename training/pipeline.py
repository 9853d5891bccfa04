"""Job: stages one after another on one Ray cluster, then real requests to the service, and what all of it took."""

import logging
import os
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
from pydantic import Field

from lifecycle.config import Config
from lifecycle.events.schema import is_purchase
from lifecycle.folders import write_json
from lifecycle.jobs import run_job
from training.results.arena import Results

logger = logging.getLogger(__name__)
SERVE_DEADLINE_SECONDS = 180
SERVE_FLAGS = {  # read where Serve's processes start, hence set before the cluster
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
}


class Stage(Config):
    """One job of the pipeline: `python -m <module> --config <config>`."""

    name: str
    module: str
    config: Path


class ServeStage(Config):
    """The service to call once the stages are done."""

    artifact: Path
    events: Path
    customers: int = Field(3, ge=1)  # sent in each request
    port: int = 8000


class PipelineConfig(Config):
    """Recipe of `python -m training.pipeline`."""

    stages: tuple[Stage, ...] = Field(min_length=1)
    serve: ServeStage | None = None
    output: Path  # summary.json goes here; metrics.json of the arena lies here


def run_pipeline(config: PipelineConfig) -> None:
    """Run the stages, each a process of its own on one cluster; a finished stage is passed over by its own job."""
    import ray

    from training.distributed.cluster import start_ray

    config.output.mkdir(parents=True, exist_ok=True)
    os.environ |= SERVE_FLAGS
    start_ray()
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    started_at = time.monotonic()
    seconds: dict[str, float] = {}
    for number, stage in enumerate(config.stages, 1):
        logger.info(
            "stage %d/%d: %s", number, len(config.stages) + (config.serve is not None), stage.name
        )
        stage_started_at = time.monotonic()
        command = [sys.executable, "-m", stage.module, "--config", str(stage.config)]
        if subprocess.run(command, check=False).returncode:
            raise ValueError(f"stage {stage.name} failed; what it said stands above")
        seconds[stage.name] = round(time.monotonic() - stage_started_at, 1)
    responses: dict[str, object] = {}
    if config.serve is not None:
        logger.info("last stage: serve")
        stage_started_at = time.monotonic()
        responses = call_service(config.serve, config.output)
        seconds["serve"] = round(time.monotonic() - stage_started_at, 1)
    total = round(time.monotonic() - started_at, 1)
    write_json(config.output / "summary.json", summary(config, seconds, total, responses))
    logger.info("%s: %s, %.0f s in all", config.output / "summary.json", seconds, total)


def summary(
    config: PipelineConfig, seconds: dict[str, float], total: float, responses: dict[str, object]
) -> dict[str, object]:
    """The content of summary.json."""
    results = Results.read(config.output / "metrics.json")
    champion = None if results.champion is None else results.models[results.champion]
    return {
        "stages": seconds,
        "total_seconds": total,
        "rows": _row_counts(config.output),
        "champion": results.champion,
        "champion_metrics": None if champion is None else champion.model_dump(mode="json"),
        "recommender": results.recommender.model,
        "responses": responses,
    }


def _row_counts(output: Path) -> dict[str, int]:
    """Rows of every table that the stages left under the output folder."""
    counts = {}
    for path in sorted([*output.glob("*.parquet"), *output.glob("*/*.parquet")]):
        counts[str(path.relative_to(output))] = int(
            pl.scan_parquet(path).select(pl.len()).collect().item()
        )
    events = pl.scan_parquet(output / "data" / "events" / "*.parquet")
    return counts | {"data/events": int(events.select(pl.len()).collect().item())}


def call_service(stage: ServeStage, output: Path) -> dict[str, object]:
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
        answers: dict[str, object] = {}
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
    command = [str(Path(sys.executable).parent / "serve"), "run", "serving.app:build", f"artifact={stage.artifact}",
               f"events={stage.events}", f"keys={keys}", f"port={stage.port}"]  # fmt: skip
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
        return (
            httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
        )  # a proxy is not asked
    except httpx.TransportError:
        return False


def main() -> None:
    """Entry point of `python -m training.pipeline`."""
    run_job(PipelineConfig.load, "training.pipeline", run_pipeline)


if __name__ == "__main__":
    main()
