"""Customer state for a benchmark, and what making it costs."""

import time
from pathlib import Path

from benchmarks.harness.evidence import Json
from lifecycle.state.files import read_state_manifest
from training.score.job import score
from training.score.recipe import ScoreConfig


def make_state(state: Path, artifact: Path, data: Path) -> dict[str, Json]:
    """Make it in this process; customers/s of the whole job, and bytes of all its files a customer."""
    started_at = time.perf_counter()
    score(ScoreConfig(data=data, artifact=artifact, state=state, num_workers=1))
    seconds = time.perf_counter() - started_at
    num_customers = read_state_manifest(state).num_customers
    num_bytes = sum(path.stat().st_size for path in state.iterdir())
    return {
        "state_customers_per_second": num_customers / seconds,
        "state_bytes_per_customer": num_bytes / num_customers,
    }
