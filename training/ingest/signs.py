"""Money of both signs where one is expected: costs, discounts, and what refunds give back."""

import logging
from pathlib import Path

import polars as pl

from training.ingest.quality.read_counts import ReadCounts
from training.ingest.sources import Source, where
from training.ingest.tables.rows import ROW

logger = logging.getLogger(__name__)


def check_cost_signs(rows: pl.DataFrame, file: Path, source: Source, counts: ReadCounts) -> None:
    """ValueError where costs of a source have both signs: which is money out, and which was given back?"""
    told = _both_signs(rows, "cost", file, source, counts)
    if told is not None:
        raise ValueError(
            f"cost is {told}: write ABS(cost) where both are money out, or 0 for what was given back"
        )


def warn_of_signs(rows: pl.DataFrame, file: Path, source: Source, counts: ReadCounts) -> None:
    """Say where refunds or discounts of a source have both signs, which are read as one."""
    is_refund = pl.col("kind") == "refund"
    told = _both_signs(rows, "amount", file, source, counts, is_refund)
    if told is not None:
        logger.warning(
            "amount of a refund is %s: both are read as given back; is one of them a refund that was reversed?",
            told,
        )
    told = _both_signs(rows, "discount", file, source, counts)
    if told is not None:
        logger.warning(
            "discount is %s: both are read as money off; is one of them a surcharge?", told
        )


def _both_signs(
    rows: pl.DataFrame,
    name: str,
    file: Path,
    source: Source,
    counts: ReadCounts,
    is_meant: pl.Expr | None = None,
) -> str | None:
    """The first value of each sign in a source with its place, the last one found first; None until there are both."""
    seen = counts.signs.setdefault((source.path, name), {})
    if name not in rows.columns or len(seen) == 2:
        return None
    for sign in (1, -1):
        has_sign = pl.col(name) > 0 if sign > 0 else pl.col(name) < 0
        mask = rows.select(has_sign if is_meant is None else has_sign & is_meant).to_series()
        index = None if sign in seen or not mask.any() else mask.fill_null(False).arg_max()
        if index is not None:
            seen[sign] = f"{rows[name][index]} in {where(source, file, rows[ROW][index])}"
    return ", but ".join(reversed(seen.values())) if len(seen) == 2 else None
