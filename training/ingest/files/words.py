"""Words between any runs of blanks, as old exports write their columns."""

import logging
from pathlib import Path

import polars as pl

from training.ingest.files.csv_quotes import FEWER_CELLS
from training.ingest.sources import Table, numbered_names, where

logger = logging.getLogger(__name__)


def scan_words(table: Table, file: Path) -> pl.LazyFrame:
    """Words between any runs of blanks; empty lines are skipped, lines with more words than the first refused."""
    line = pl.col("line")
    all_lines = pl.scan_csv(
        file,
        separator="\x1f",
        has_header=False,
        skip_lines=table.skip_rows,
        infer_schema=False,
        quote_char=None,
        schema={"line": pl.String()},
    )
    lines = all_lines.filter(line.str.contains(r"\S"))
    words = line.str.extract_all(r"\S+")
    length = words.list.len()
    facts = lines.select(
        first=words.first(),
        most=length.max(),
        row=length.arg_max(),
        num_short=(length < length.first()).sum(),
    )
    first, most, row, num_short = facts.collect().row(0)
    if first is None:
        return pl.LazyFrame()
    if num_short:
        logger.warning(FEWER_CELLS, file, num_short)
    if most > len(first):
        place = where(table, file, row + 1 - int(table.has_header))
        raise ValueError(f"{place}: {most} values where the first line has {len(first)}")
    names = list(first) if table.has_header else numbered_names(len(first))
    rows = lines.slice(1) if table.has_header else lines
    columns = [
        words.list.get(index, null_on_oob=True).alias(name) for index, name in enumerate(names)
    ]
    cells = rows.select(columns)
    return cells.with_columns(pl.when(~pl.all().is_in(list(table.null_values))).then(pl.all()))
