"""A training run started as a user starts it, and when it did what."""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.shop import CONFIGS
from training.recipe import PROGRESS_FILE


@dataclass(frozen=True)
class TrainingRun:
    """Seconds count from the command; `progress` has the lines of progress.jsonl."""

    seconds_to_first_step: float
    seconds_to_member: float
    progress: list[dict[str, float]]


def train(recipe: str, output: Path, changes: list[str], num_threads: int = 1) -> TrainingRun:
    """`python -m training.run` with a recipe of training/configs; ends the benchmark where it fails."""
    command = [
        sys.executable,
        "-m",
        "training.run",
        "--config",
        str(CONFIGS / recipe),
        f"output={output}",
        *changes,
    ]
    started_at = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": str(num_threads)})
    progress = output / PROGRESS_FILE
    while process.poll() is None and not progress.exists():
        time.sleep(0.05)
    first_step_at = time.monotonic()
    if process.wait():
        raise SystemExit(f"{' '.join(command)} failed")
    lines = [json.loads(line) for line in progress.read_text().splitlines()]
    return TrainingRun(first_step_at - started_at, time.monotonic() - started_at, lines)


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of each number over several runs."""
    found = {}
    for key in runs[0]:
        found[key] = statistics.median(run[key] for run in runs)
    return found
