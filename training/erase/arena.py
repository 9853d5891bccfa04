"""What evaluate wrote, whose tables and metrics.json are clean already: its page shows others again."""

import logging
from pathlib import Path

import polars as pl

from lifecycle.yaml_files import read_yaml
from training.results.arena import Results

logger = logging.getLogger(__name__)
REPORT_FILE = "report.html"


def clean_report(target: Path) -> None:
    """Make report.html anew from what is left; where the examples are gone it is removed."""
    page = target / REPORT_FILE
    metrics = target / "metrics.json"
    if not (page.is_file() and metrics.is_file()):
        return
    page.unlink()
    examples = _examples(target)
    if examples is None:
        logger.warning(
            "%s is removed: the examples it was made from are gone; evaluate anew", REPORT_FILE
        )
        return
    from training.report.arena import write_report  # which imports matplotlib

    predictions = pl.read_parquet(target / "predictions.parquet")
    test = examples / "test.parquet"
    rows = pl.read_parquet(test) if predictions.height else None
    if rows is not None:
        known = predictions.select("customer_id").unique()
        rows = rows.join(known, on="customer_id", how="semi", maintain_order="left")
    write_report(page, Results.read(metrics), predictions, rows)


def _examples(target: Path) -> Path | None:
    """The examples that the recipe beside the page names."""
    recipe = target / "evaluate.yaml"
    if not recipe.is_file():
        return None
    examples = Path(str(read_yaml(recipe).get("examples")))
    return examples if (examples / "test.parquet").is_file() else None
