"""What a pipeline left, in one file: seconds, rows, the champion, real answers."""

from pathlib import Path

import polars as pl
from pydantic import JsonValue

from lifecycle.config import Config
from training.results.arena import Results
from training.results.value import ModelMetrics


class Summary(Config):
    """The content of summary.json."""

    stages: dict[str, float]  # seconds
    total_seconds: float
    rows: dict[str, int]  # of every table, by its path
    champion: str | None
    champion_metrics: ModelMetrics | None
    recommender: str | None
    responses: dict[str, JsonValue]  # of the endpoints that were called


def summary(
    output: Path, seconds: dict[str, float], total: float, responses: dict[str, JsonValue]
) -> Summary:
    """What the stages left in the output folder."""
    results = Results.read(output / "metrics.json")
    champion = None if results.champion is None else results.models[results.champion]
    return Summary(
        stages=seconds,
        total_seconds=total,
        rows=_row_counts(output),
        champion=results.champion,
        champion_metrics=champion,
        recommender=results.recommender.model,
        responses=responses,
    )


def _row_counts(output: Path) -> dict[str, int]:
    """Rows of every table that the stages left under the output folder."""
    counts = {}
    for path in sorted([*output.glob("*.parquet"), *output.glob("*/*.parquet")]):
        counts[str(path.relative_to(output))] = _num_rows(path)
    return counts | {"data/events": _num_rows(output / "data" / "events" / "*.parquet")}


def _num_rows(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
