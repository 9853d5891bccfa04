"""Job: the stages by their runner. As processes: real requests to the service, and what all of it took."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from pydantic import JsonValue

from lifecycle.folders import write_json
from training.pipeline.recipe import PipelineConfig, Stage
from training.pipeline.service import call_service
from training.pipeline.summary import summary

logger = logging.getLogger(__name__)
SERVE_FLAGS = {  # read where Serve's processes start, hence set before the cluster
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}


def run_pipeline(config: PipelineConfig) -> None:
    """Run the stages to the end; what is complete is passed over by each stage's own job.

    Raises ValueError at the first stage that fails.
    """
    if config.output is None:
        from training.pipeline.cluster import run_as_jobs

        run_as_jobs(config)
    else:
        run_as_processes(config, config.output)


def run_as_processes(config: PipelineConfig, output: Path) -> None:
    """Run the stages, each a process of its own on one cluster, and write summary.json."""
    import ray

    from training.distributed.cluster import start_ray

    output.mkdir(parents=True, exist_ok=True)
    os.environ |= SERVE_FLAGS
    start_ray()
    os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
    started_at = time.monotonic()
    num_stages = len(config.stages) + (config.serve is not None)
    seconds: dict[str, float] = {}
    for number, stage in enumerate(config.stages, 1):
        logger.info("stage %d/%d: %s", number, num_stages, stage.name)
        stage_started_at = time.monotonic()
        _run_process(stage)
        seconds[stage.name] = round(time.monotonic() - stage_started_at, 1)
    responses: dict[str, JsonValue] = {}
    if config.serve is not None:
        logger.info("last stage: serve")
        stage_started_at = time.monotonic()
        responses = call_service(config.serve, output)
        seconds["serve"] = round(time.monotonic() - stage_started_at, 1)
    total = round(time.monotonic() - started_at, 1)
    write_json(
        output / "summary.json",
        summary(output, seconds, total, responses).model_dump(mode="json"),
    )
    logger.info("%s: %s, %.0f s in all", output / "summary.json", seconds, total)


def _run_process(stage: Stage) -> None:
    command = [sys.executable, "-m", stage.module, "--config", str(stage.config)]
    if subprocess.run(command, check=False).returncode:
        raise ValueError(f"stage {stage.name} failed; what it said stands above")
