"""The zone of a file's times, which hold dates alone where all of them are midnights, and columns that tell another."""

import logging
import re
from pathlib import Path

import polars as pl

from training.ingest.sources import Table
from training.ingest.tables.currencies.codes import words_of
from training.ingest.tables.currencies.unmapped import first_rows
from training.ingest.tables.parsing import RawColumn
from training.ingest.tables.rows import ROW, Rows
from training.ingest.tables.sql.expressions import Expression
from training.ingest.tables.times import are_midnights, are_midnights_of, says_zones

logger = logging.getLogger(__name__)
ZONE_COLUMN = re.compile(r"\b(?:time ?zone|zeitzone|tz|utc offset)\b")
UNIVERSAL_NAMES = ("", "UTC", "GMT", "Z", "Etc/UTC", "+00:00", "+0000", "0")
NAMES_OF_A_ZONE = 2  # such as PST and PDT


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


def warn_of_zone_column(
    frame: pl.LazyFrame, table: Table, expressions: list[Expression], file: Path
) -> None:
    """Say where a column that the recipe does not use tells the zone of times that carry none."""
    own = frame.collect_schema()
    times = [each for each in expressions if each.column in table.times]
    used = {name for each in times for name in each.types}
    texts = [name for name, dtype in own.items() if dtype == pl.String and name not in used]
    names = [name for name in texts if ZONE_COLUMN.search(words_of(name))]
    if not names or not times or not used.issubset(own):
        return
    sample = first_rows(frame, [*names, *used])
    if not used.issubset(sample.columns):
        return
    rows = Rows(sample.with_row_index(ROW, 1), table, file, is_lenient=True)
    for each in times:
        if says_zones(
            RawColumn(rows.evaluate(each), rows.rows[ROW], each.column), table.date_format
        ):
            return
    for name in names:
        zones = sample[name].str.strip_chars().drop_nulls().unique().sort()
        zones = zones.filter(~zones.is_in(UNIVERSAL_NAMES))
        if zones.len() > (0 if table.timezone == "UTC" else NAMES_OF_A_ZONE):
            logger.warning(
                "%s: column %r says %s, but times are read as of timezone: %s; are they times of these zones? "
                "Join the column to the time and end date_format with %%Z or %%#z, or say timezone",
                file,
                name,
                zones.head(3).to_list(),
                table.timezone,
            )
