"""How long the stack takes to score a million customers: `python -m benchmarks.score_speed [--customers 1000000]`.

Customers are simulated from the BG/NBD and Gamma-Gamma of CDNOW, with first purchases over two
years. The arena makes the artifact from a sample of them; `python -m training.score` then scores
all, with as many workers as there are cores. Seconds and memory are those of the command and of all
processes that it starts, Ray's included.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import psutil
import yaml

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.simulated_orders import CDNOW, SEED, fit_cdnow, simulate
from lifecycle.events.shards import read_data_manifest
from lifecycle.jobs import start_logging
from lifecycle.names import STACK
from lifecycle.paths import resolve_path
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

SAMPLE = 20_000  # customers that the artifact learns from
HORIZON_DAYS = 91


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    num_customers = parser.parse_args().customers
    start_logging()
    source = resolve_path(CDNOW)
    orders = simulate(*fit_cdnow(source), num_customers)
    with scratch_folder() as folder:
        shop = ingested(orders, folder / "all")
        sample = ingested(orders.filter(pl.col("customer_id") < SAMPLE), folder / "sample")
        artifact = artifact_of(sample, folder)
        num_events = read_data_manifest(shop).num_events
        del orders
        seconds, peak = score(shop, artifact, folder)
        scored = pl.scan_parquet(folder / "scores" / "scores.parquet")
        num_distinct = pl.col("customer_id").n_unique().alias("distinct")
        distinct = scored.select(pl.len(), num_distinct).collect().row(0)
    if distinct != (num_customers, num_customers):
        raise ValueError(f"scores.parquet has {distinct} rows and customers, not {num_customers}")
    numbers: dict[str, Json] = {
        "customers": num_customers,
        "events": num_events,
        "seconds": seconds,
        "customers_per_second": num_customers / seconds,
        "peak_rss_gib": peak,
        "members": [],
        "workers": os.cpu_count(),
    }
    write_evidence("score_speed", numbers, seeds=[SEED], data=[source])


def ingested(orders: pl.DataFrame, folder: Path) -> Path:
    """The ingest folder of simulated orders."""
    folder.mkdir()
    lines = orders.select(pl.col("customer_id").cast(pl.String), "occurred_at", "amount")
    lines.write_parquet(folder / "orders.parquet")
    columns = {name: name for name in lines.columns}
    source = {"path": str(folder / "orders.parquet"), "format": "parquet", "columns": columns}
    ingest(
        IngestConfig.model_validate(
            {"sources": [source], "output": folder / "data", "quality_html": False}
        )
    )
    return folder / "data"


def artifact_of(data: Path, folder: Path) -> Path:
    """The arena's artifact of a shop, whose champion is the stack."""
    places = {"data": data, "examples": folder / "examples"}
    prepare(
        PrepareConfig(data=data, horizon_days=HORIZON_DAYS, seed=SEED, output=folder / "examples")
    )
    evaluate(
        EvaluateConfig.model_validate(
            places | {"models": [STACK], "seed": SEED, "output": folder / "arena"}
        )
    )
    return folder / "arena" / "artifact"


def score(data: Path, artifact: Path, folder: Path) -> tuple[float, float]:
    """Wall seconds of the command, and the peak of the memory of its processes in GiB, shared pages counted once."""
    recipe = folder / "score.yaml"
    places = {"data": str(data), "artifact": str(artifact), "output": str(folder / "scores")}
    recipe.write_text(yaml.safe_dump(places | {"num_workers": os.cpu_count()}))
    started_at = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "training.score", "--config", str(recipe)])
    watch = Watch(process.pid)
    watch.start()
    status = process.wait()
    seconds = time.perf_counter() - started_at
    watch.join()
    if status:
        raise SystemExit("training.score failed")
    return seconds, watch.peak / 2**30


class Watch(threading.Thread):
    """Follows the memory of a process and its descendants until it ends; owns `peak`, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak = 0

    def run(self) -> None:
        """Sum up proportional set sizes, twice a second."""
        try:
            while self.process.status() != psutil.STATUS_ZOMBIE:
                tree = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, sum(_proportional(one) for one in tree))
                time.sleep(0.5)
        except psutil.NoSuchProcess:
            return


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:  # it has just ended
        return 0


if __name__ == "__main__":
    main()
