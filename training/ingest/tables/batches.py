"""The rows of a source table in batches: filtered, computed and parsed, every problem named by file, row and value."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from lifecycle.events.schema import FIRST_YEAR, LAST_YEAR, OWN_RATE
from training.ingest.tables.expressions import Expression, expressions_of
from training.ingest.tables.files import source_files
from training.ingest.tables.lookups import KEY, Lookup, read_lookup
from training.ingest.tables.parsing import (
    RawColumn,
    parse_ids,
    parse_numbers,
    parse_texts,
    parse_times,
)
from training.ingest.tables.readers import Opened, has_cheap_schema, opened, schema_of
from training.ingest.tables.rows import ROW, Rows, all_numbers_in, check_parsed, number_rule
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
    num_found: int | None = None  # read rows whose key the lookup has; None without a lookup


def read_batches(table: Table) -> Iterator[ParsedRows]:
    """The rows of a table that its filter keeps, parsed, in batches.

    Raises ValueError for an unknown column, an expression that does not evaluate, a value that does
    not parse (with file, row and value), a table without rows, or a lookup that does not fit.
    """
    num_rows = 0
    files = source_files(table)
    lookup = read_lookup(table) if isinstance(table, Source) else None
    for file in files:
        with opened(table, file) as found:
            for batch in _read_file(found, table, file, lookup):
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
    lookup = read_lookup(table) if isinstance(table, Source) else None
    for file in files:
        if file == files[0] or has_cheap_schema(table, file):
            schema = schema_of(table, file)
            if schema:
                whole = _with_lookup(schema, lookup, file)
                expressions_of(table, whole, file, lambda names: False)


def _with_lookup(schema: pl.Schema, lookup: Lookup | None, file: Path) -> pl.Schema:
    """The columns of a file and those that the lookup adds; ValueError where these do not fit."""
    if lookup is None:
        return schema
    lookup.check(schema, file)
    return pl.Schema({**schema, **lookup.rows.drop(KEY).schema})


def _read_file(
    found: Opened, table: Table, file: Path, lookup: Lookup | None
) -> Iterator[ParsedRows]:
    own = found.frame.collect_schema()
    if not own:
        return
    schema = _with_lookup(own, lookup, file)

    def all_numbers(names: list[str]) -> bool:
        added = [name for name in names if name not in own]
        if lookup and not all_numbers_in(lookup.rows.select(added), table.decimal):
            return False
        return _all_numbers(found.frame, [name for name in names if name in own], table.decimal)

    expressions = expressions_of(table, schema, file, all_numbers)
    used = list(dict.fromkeys(chain.from_iterable(each.types for each in expressions)))
    if lookup is not None:
        used = [lookup.on, *(name for name in used if name in own and name != lookup.on)]
    if isinstance(table, Source) and table.drop_exact_duplicates:
        used = own.names()  # rows that differ in any column are not duplicates
    offset = 0
    batches = found.frame.select(used or own.names()[:1]).collect_batches(chunk_size=BATCH_ROWS)
    for rows in batches:
        if rows.is_empty():
            continue
        num_found = None
        if lookup is not None:
            rows, num_found = lookup.join(rows, table.decimal)
        part = Rows(rows, table, file, offset)
        yield _parse_batch(part, expressions, num_found, check_sql=offset == 0)
        offset += rows.height
    if found.num_rows is not None and offset != found.num_rows:
        raise ValueError(
            f"{file}: {found.num_rows} rows by its line ends and quotes, but {offset} were read; "
            "say the `quote` and `escape` of the program that wrote it"
        )


def _all_numbers(frame: pl.LazyFrame, names: list[str], decimal: str) -> bool:
    """Whether every value of these columns of text is a number, and none has leading zeros, as codes have."""
    for rows in frame.select(names).collect_batches(chunk_size=BATCH_ROWS):
        if not all_numbers_in(rows, decimal):
            return False
    return True


def _parse_batch(
    rows: Rows, expressions: list[Expression], num_found: int | None, *, check_sql: bool
) -> ParsedRows:
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
    return ParsedRows(rows.file, pl.DataFrame([rows.rows[ROW], *parsed]), counts, num_found)


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
