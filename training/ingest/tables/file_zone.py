"""The zone of a file's times, which hold dates alone where all of them are midnights."""

import logging
from pathlib import Path

import polars as pl

from training.ingest.sources import Table
from training.ingest.tables.expressions import Expression
from training.ingest.tables.parsing import RawColumn
from training.ingest.tables.rows import ROW, Rows
from training.ingest.tables.times import are_midnights, are_midnights_of

logger = logging.getLogger(__name__)


def zone_of_file(
    frame: pl.LazyFrame, table: Table, file: Path, expressions: list[Expression], batch_rows: int
) -> str:
    """The zone of a file's times: UTC where all are midnights, which are dates, and stay these dates in every zone."""
    own = set(frame.collect_schema())
    times = [each for each in expressions if each.column in table.times]
    if (
        table.timezone == "UTC"
        or not times
        or not all(own.issuperset(each.types) for each in times)
    ):
        return table.timezone
    for expression in times:
        names = list(expression.types)
        for batch in frame.select(names).collect_batches(chunk_size=batch_rows):
            rows = Rows(batch.with_row_index(ROW, 1), table, file)
            values = RawColumn(rows.evaluate(expression), rows.rows[ROW], expression.column)
            if are_midnights_of(values, table.date_format, table.timezone):
                logger.warning(
                    "%s: its times are all midnights of %s, and kept as these instants, which may lie on another day "
                    "in UTC; where they are dates, export them without time and zone",
                    file,
                    table.timezone,
                )
            if not are_midnights(values, table.date_format):
                return table.timezone
    logger.info("%s: its times are all midnights, taken as dates of no zone", file)
    return "UTC"
