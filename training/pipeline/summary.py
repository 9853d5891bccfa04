"""What a pipeline left, in one file: seconds, rows, the champion, real answers."""

from pathlib import Path

import polars as pl

from training.results.arena import Results


def summary(
    output: Path, seconds: dict[str, float], total: float, responses: dict[str, object]
) -> dict[str, object]:
    """The content of summary.json."""
    results = Results.read(output / "metrics.json")
    champion = None if results.champion is None else results.models[results.champion]
    return {
        "stages": seconds,
        "total_seconds": total,
        "rows": _row_counts(output),
        "champion": results.champion,
        "champion_metrics": None if champion is None else champion.model_dump(mode="json"),
        "recommender": results.recommender.model,
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
