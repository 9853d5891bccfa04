"""The rows of a source table in batches: filtered, computed and parsed, every problem named by file, row and value."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from lifecycle.events.schema import FIRST_YEAR, LAST_YEAR, OWN_RATE
from training.ingest.tables.expressions import Expression, expressions_of
from training.ingest.tables.files import source_files
from training.ingest.tables.parsing import (
    RawColumn,
    parse_ids,
    parse_numbers,
    parse_texts,
    parse_times,
)
from training.ingest.tables.readers import Opened, has_cheap_schema, opened, schema_of
from training.ingest.tables.rows import ROW, Rows, check_parsed, number_rule, numbers_of
from training.ingest.tables.sources import Source, Sql, Table

BATCH_ROWS = 500_000
ROW_HASH = "__row_hash"  # of the whole source row, within one run
NUMBERS = ("quantity", "amount", "discount", "cost", "rating", "price", OWN_RATE)
IDS = ("event_id", "customer_id", "order_id", "item_id", "impression_id")


@dataclass(frozen=True)
class ParsedRows:
    """Parsed rows of one file, with `ROW` (data row from 1), and how many were read and dropped, by reason."""

    file: Path
    rows: pl.DataFrame
    counts: dict[str, int]


def read_batches(table: Table) -> Iterator[ParsedRows]:
    """The rows of a table that its filter keeps, parsed, in batches.

    Raises ValueError for an unknown column, an expression that does not evaluate, a value that does
    not parse (with file, row and value), a table without rows, or a lookup that does not fit.
    """
    num_rows = 0
    files = source_files(table)
    for file in files:
        with opened(table, file) as found:
            for batch in _read_file(found, table, file):
                num_rows += batch.counts["rows_read"]
                yield batch
    if num_rows == 0:
        named = files[0] if len(files) == 1 else table.path
        raise ValueError(f"{named} has no rows")


def check_columns(table: Table) -> None:
    """ValueError where a value of the recipe does not fit a file of a table; the rows are not read.

    Files whose columns are known only after they were copied or read are left for later, but for
    the first.
    """
    files = source_files(table)
    for file in files if has_cheap_schema(table) else files[:1]:
        schema = schema_of(table, file)
        if schema:
            expressions_of(table, schema, file, lambda names: False)


def _read_file(found: Opened, table: Table, file: Path) -> Iterator[ParsedRows]:
    frame = found.frame
    schema = frame.collect_schema()
    if not schema:
        return

    def all_numbers(names: list[str]) -> bool:
        return _all_numbers(frame, names, table.decimal)

    expressions = expressions_of(table, schema, file, all_numbers)
    used = list(dict.fromkeys(chain.from_iterable(found.types for found in expressions)))
    if isinstance(table, Source) and table.drop_exact_duplicates:
        used = schema.names()  # rows that differ in any column are not duplicates
    offset = 0
    for rows in frame.select(used or schema.names()[:1]).collect_batches(chunk_size=BATCH_ROWS):
        if rows.height:
            yield _parse_batch(Rows(rows, table, file, offset), expressions, check_sql=offset == 0)
            offset += rows.height
    if found.num_rows is not None and offset != found.num_rows:
        raise ValueError(
            f"{file}: {found.num_rows} rows by its line ends and quotes, but {offset} were read; "
            "say the `quote` and `escape` of the program that wrote it"
        )


def _all_numbers(frame: pl.LazyFrame, names: list[str], decimal: str) -> bool:
    """Whether every value of these columns of text is a number, and none has leading zeros, as codes have."""
    for rows in frame.select(names).collect_batches(chunk_size=BATCH_ROWS):
        for values in rows.iter_columns():
            if numbers_of(values, decimal) is None:
                return False
    return True


def _parse_batch(rows: Rows, expressions: list[Expression], check_sql: bool) -> ParsedRows:
    counts = {"rows_read": rows.rows.height}
    parsed = []
    filters_first = sorted(expressions, key=lambda expression: not expression.is_filter)
    for expression in filters_first:
        if check_sql and isinstance(expression.value, Sql):
            rows.check_row_by_row(expression)
        if expression.is_filter:
            counts[expression.dotted.replace(".", ":")] = rows.keep(expression)
        else:
            parsed.append(_parsed(rows, expression).alias(expression.column))
    if isinstance(rows.table, Source) and rows.table.drop_exact_duplicates:
        parsed.append(rows.row_hashes().alias(ROW_HASH))
    return ParsedRows(rows.file, pl.DataFrame([rows.rows[ROW], *parsed]), counts)


def _parsed(rows: Rows, expression: Expression) -> pl.Series:
    """The values as the type that their event column has; ValueError with file, row and value where one does not."""
    column = RawColumn(rows.evaluate(expression), rows.rows[ROW], expression.column)
    table = rows.table
    if column.values.dtype.is_nested():
        raise ValueError(
            f"{expression.dotted}: {rows.file} has {column.values.dtype} there, not one value for each row"
        )
    if column.name == "occurred_at":
        times = parse_times(column, table.date_format, table.timezone)
        check_parsed(column, times, table, rows.file, _date_rule(table.date_format))
        return times
    if column.name in NUMBERS:
        numbers = parse_numbers(column, table.decimal)
        check_parsed(column, numbers, table, rows.file, number_rule(table))
        return numbers
    if column.name in IDS:
        return parse_ids(column, table.decimal)
    return parse_texts(column)


def _date_rule(date_format: str | None) -> str:
    if date_format:
        return f"which does not match date_format {date_format!r} with a year of {FIRST_YEAR}-{LAST_YEAR}"
    return f"not an ISO 8601 date or time of {FIRST_YEAR}-{LAST_YEAR}; say date_format, such as '%d/%m/%Y %H:%M'"
