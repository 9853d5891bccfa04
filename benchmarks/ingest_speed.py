"""How fast ingest is beside a plain polars script, and how much memory ten million lines take.

`python -m benchmarks.ingest_speed [--runs 5] [--lines 10000000]`. Both sides run as processes of
their own, in turn, on The Complete Journey; the file of ten million lines is made in the temporary
folder and deleted at the end.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from benchmarks.harness.evidence import write_evidence
from benchmarks.harness.scratch import scratch_folder
from lifecycle.events.shards import read_data_manifest
from lifecycle.paths import resolve_path
from training.ingest.files.found import source_files
from training.ingest.recipe import IngestConfig

RECIPE = Path("training/configs/journey_ingest.yaml")
SEED = 7
LINES_PER_CHUNK = 500_000
CHILD_SECONDS = """
import sys, time
from pathlib import Path
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
config = IngestConfig.load(Path(sys.argv[1]), sys.argv[2:])
started_at = time.perf_counter()
ingest(config)
print(time.perf_counter() - started_at)
"""


@dataclass(frozen=True)
class Timed:
    """A Python process: wall seconds, those it prints of its work without imports, and its peak RSS."""

    seconds: float
    seconds_inside: float
    peak_rss_gib: float


@dataclass(frozen=True)
class Speed:
    """Both sides on The Complete Journey, and the ratios of their medians."""

    ratio_to_polars: float
    ratio_to_polars_in_process: float
    seconds: list[float]
    seconds_polars: list[float]
    seconds_in_process: list[float]
    seconds_polars_in_process: list[float]
    num_shards: int


@dataclass(frozen=True)
class Memory:
    """Of a process that ingests a large CSV."""

    peak_rss_gib_10m: float
    lines_10m: int
    mib_10m: float
    seconds_10m: float


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lines", type=int, default=10_000_000)
    arguments = parser.parse_args()
    with scratch_folder() as folder:
        speed = compare(folder, arguments.runs)
        lines = folder / "transactions.csv"
        write_transactions(lines)
        of_csv = compare(folder, arguments.runs, lines)
        memory = peak_memory(folder, arguments.lines)
    csv = {
        "ratio_to_polars_csv": of_csv.ratio_to_polars,
        "seconds_csv": of_csv.seconds,
        "seconds_polars_csv": of_csv.seconds_polars,
    }
    numbers = asdict(speed) | csv | asdict(memory)
    write_evidence("ingest_speed", numbers, seeds=[SEED], data=recipe_files())


def recipe_files() -> list[Path]:
    """All files that the recipe reads."""
    config = IngestConfig.load(RECIPE)
    lookups = [source.lookup for source in config.sources]
    files: list[Path] = []
    for table in (*config.sources, *lookups, config.items, config.customers):
        if table is not None:
            files += source_files(table)
    return files


def write_transactions(lines: Path) -> None:
    """The transactions of the recipe as CSV."""
    path = IngestConfig.load(RECIPE).sources[0].path
    pl.read_parquet(resolve_path(path)).write_csv(lines)


def compare(folder: Path, runs: int, lines: Path | None = None) -> Speed:
    """Both sides in turn; transactions are read from the CSV file `lines` where it is given."""
    output = folder / "journey"
    changes = [f"output={output}", "quality_html=false"]
    if lines is not None:
        changes += [f"sources.0.path={lines}", "sources.0.format=csv"]
    ours: list[Timed] = []
    plain: list[Timed] = []
    for run in range(runs + 1):
        one = timed(["-c", CHILD_SECONDS, str(RECIPE), *changes])
        num_shards = read_data_manifest(output).num_shards
        module = "benchmarks.peers.plain_ingest"
        extra = [] if lines is None else [str(lines)]
        other = timed(["-m", module, str(folder / "plain"), str(num_shards), *extra])
        shutil.rmtree(output)
        shutil.rmtree(folder / "plain")
        if run == 0:
            continue  # files come into the page cache, modules are compiled
        ours.append(one)
        plain.append(other)
        print(f"run {run}: ours {one.seconds:.2f} s, plain {other.seconds:.2f} s", flush=True)
    seconds = [one.seconds for one in ours]
    seconds_polars = [one.seconds for one in plain]
    inside = [one.seconds_inside for one in ours]
    inside_polars = [one.seconds_inside for one in plain]
    return Speed(
        ratio_to_polars=statistics.median(seconds) / statistics.median(seconds_polars),
        ratio_to_polars_in_process=statistics.median(inside) / statistics.median(inside_polars),
        seconds=seconds,
        seconds_polars=seconds_polars,
        seconds_in_process=inside,
        seconds_polars_in_process=inside_polars,
        num_shards=num_shards,
    )


def timed(arguments: list[str]) -> Timed:
    """Run Python with these arguments."""
    started_at = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started_at
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"{arguments} ended with status {process.returncode}")
    inside = float(printed.split()[-1])
    return Timed(seconds, inside, usage.ru_maxrss / 2**20)  # Linux counts in KiB


def peak_memory(folder: Path, num_lines: int) -> Memory:
    """The largest resident set of a process that ingests a CSV of `num_lines` lines."""
    lines = folder / "lines.csv"
    write_lines(lines, num_lines)
    recipe = folder / "recipe.yaml"
    columns = {name: name for name in ("customer_id", "order_id", "item_id", "quantity")}
    columns |= {"occurred_at": "sold_at", "text": "title"}
    source = {
        "path": str(lines),
        "columns": {**columns, "amount": {"sql": "quantity * unit_price"}},
    }
    recipe.write_text(
        yaml.safe_dump({"sources": [source], "output": str(folder / "data"), "quality_html": False})
    )
    print(f"{num_lines} lines, {lines.stat().st_size / 2**20:.0f} MiB", flush=True)
    run = timed(["-c", CHILD_SECONDS, str(recipe)])
    num_events = read_data_manifest(folder / "data").num_events
    if num_events != num_lines:
        raise ValueError(f"{num_events} events of {num_lines} lines")
    return Memory(
        peak_rss_gib_10m=run.peak_rss_gib,
        lines_10m=num_lines,
        mib_10m=lines.stat().st_size / 2**20,
        seconds_10m=run.seconds,
    )


def write_lines(path: Path, num_lines: int) -> None:
    """Sales lines of many customers and items, in the order of time, as a shop would export them."""
    random = np.random.default_rng(SEED)
    with path.open("wb") as file:
        for first in range(0, num_lines, LINES_PER_CHUNK):
            number = min(LINES_PER_CHUNK, num_lines - first)
            items = (random.pareto(1.2, number) * 50).astype(np.int64) % 40_000
            chunk = pl.DataFrame(
                {
                    "customer_id": random.integers(0, 400_000, number),
                    "order_id": first // 4 + np.arange(number) // 4,
                    "sold_at": 1_600_000_000 + (first + np.arange(number)) * 6,
                    "item_id": items,
                    "quantity": random.integers(1, 6, number),
                    "unit_price": (100 + items * 7 % 5_000) / 100,
                    "title": items,
                }
            )
            chunk = chunk.with_columns(
                pl.from_epoch("sold_at").dt.strftime("%Y-%m-%d %H:%M:%S"),
                pl.format("Article number {}", "title").alias("title"),
            )
            chunk.write_csv(file, include_header=first == 0)


if __name__ == "__main__":
    main()
