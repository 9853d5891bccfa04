"""What a pipeline left, in one file: seconds, rows, the champion, real answers."""

import json
from pathlib import Path

import polars as pl


def summary(
    output: Path, seconds: dict[str, float], total: float, responses: dict[str, object]
) -> dict[str, object]:
    """The content of summary.json."""
    metrics = json.loads((output / "metrics.json").read_text())
    champion = metrics["champion"]
    return {
        "stages": seconds,
        "total_seconds": total,
        "rows": _row_counts(output),
        "champion": champion,
        "champion_metrics": metrics["models"].get(champion),
        "recommender": metrics["recommender"]["model"],
        "responses": responses,
    }


def _row_counts(output: Path) -> dict[str, int]:
    """Rows of every table that the stages left under the output folder."""
    counts = {}
    for path in sorted([*output.glob("*.parquet"), *output.glob("*/*.parquet")]):
        counts[str(path.relative_to(output))] = _num_rows(path)
    return counts | {"data/events": _num_rows(output / "data" / "events" / "*.parquet")}


def _num_rows(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
