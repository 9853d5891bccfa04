"""Text whose cells stand between any runs of blanks, as in logs and old research data."""

from pathlib import Path

import polars as pl

from training.ingest.sources import Table, numbered_names, where

UNUSED = "\x1f"  # a delimiter that cuts no line


def scan_blank_separated(table: Table, file: Path, readable: Path) -> tuple[pl.LazyFrame, int]:
    """The rows of `file`, of which `readable` is a copy in UTF-8, or the file itself; how many are too short.

    Empty lines are skipped. Raises ValueError for a line with more words than the first.
    """
    line = pl.col("line")
    all_lines = pl.scan_csv(
        readable,
        separator=UNUSED,
        has_header=False,
        skip_lines=table.skip_rows,
        infer_schema=False,
        quote_char=None,
        schema={"line": pl.String()},
    )
    lines = all_lines.filter(line.str.contains(r"\S"))
    words = line.str.extract_all(r"\S+")
    length = words.list.len()
    num_short = (length < length.first()).sum()
    facts = lines.select(
        first=words.first(), most=length.max(), row=length.arg_max(), short=num_short
    )
    first, most, row, short = facts.collect().row(0)
    if first is None:
        return pl.LazyFrame(), 0
    if most > len(first):
        place = where(table, file, row + 1 - int(table.has_header))
        raise ValueError(f"{place}: {most} values where the first line has {len(first)}")
    names = list(first) if table.has_header else numbered_names(len(first))
    rows = lines.slice(1) if table.has_header else lines
    columns = [
        words.list.get(index, null_on_oob=True).alias(name) for index, name in enumerate(names)
    ]
    cells = rows.select(columns)
    return cells.with_columns(
        pl.when(~pl.all().is_in(list(table.null_values))).then(pl.all())
    ), short
