"""The rows of a source table in batches: filtered, computed and parsed, every problem named by file, row and value."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import polars as pl

from training.ingest.files.broken_records import MAX_CELL_LETTERS
from training.ingest.files.found import source_files
from training.ingest.files.readers import Opened, has_cheap_schema, opened, schema_of
from training.ingest.sources import Source, Table, where
from training.ingest.tables.currencies.named import codes_in_names
from training.ingest.tables.currencies.unmapped import (
    CodeColumn,
    FoundCodes,
    codes_of,
    currency_columns,
    money_uses_lookup,
)
from training.ingest.tables.event_columns import event_column, only_told, told, with_shop_days
from training.ingest.tables.file_zone import warn_of_zone_column, zone_of_file
from training.ingest.tables.lookups import IS_FOUND, KEY, Lookup
from training.ingest.tables.no_sales import warn_of_no_sales
from training.ingest.tables.number_marks import warn_of_marks, warn_of_names, warn_of_split_numbers
from training.ingest.tables.repeats import IN_EARLIER_FILE, EarlierRows
from training.ingest.tables.rows import ROW, Rows, numbers_in_batches
from training.ingest.tables.sql.expressions import Expression, Numbers, expressions_of

logger = logging.getLogger(__name__)
BATCH_ROWS = 500_000
SHEET_LINES = (65_536, 1_048_576)  # of Excel, before and since 2007
ROW_HASH = "__row_hash"  # of the whole source row, within one run


@dataclass(frozen=True)
class ParsedRows:
    """Rows of one file, with `ROW` (data row from 1), and of those that were left out what they would have told."""

    file: Path
    rows: pl.DataFrame
    num_read: int
    left_out: dict[str, pl.DataFrame]  # TOLD columns, by reason
    currency_codes: list[FoundCodes]  # in columns that the recipe does not map
    is_found: pl.Series | None = None  # whether the lookup has a row's key; null without one

    @property
    def num_keys(self) -> int:
        """Kept rows for which a lookup was asked."""
        return 0 if self.is_found is None else self.is_found.count()

    @property
    def num_found(self) -> int:
        """Those that it knew."""
        return 0 if self.is_found is None else int(self.is_found.sum())


def read_batches(
    table: Table, lookup: Lookup | None = None, earlier: EarlierRows | None = None
) -> Iterator[ParsedRows]:
    """The rows of a table that its filter keeps, parsed, in batches; `lookup` is that of a source.

    With `earlier` it is watched whether files share rows, also with those of sources before.

    Raises ValueError for an unknown column, an expression that does not evaluate, a value that does
    not parse (with file, row and value), a table without rows, or a lookup that does not fit.
    """
    num_rows = 0
    files = source_files(table)
    drops_repeated = isinstance(table, Source) and table.duplicates == "drop"
    reading = _Reading(table, lookup, earlier, drops_repeated)
    for file in files:
        with opened(table, file) as found:
            for batch in _read_file(found, reading, file):
                num_rows += batch.num_read
                yield batch
        if earlier is not None:
            once = isinstance(table, Source) and table.drop_exact_duplicates
            earlier.end_file(file, may_share=drops_repeated, counts_once=once)
    if num_rows == 0:
        named = files[0] if len(files) == 1 else table.path
        raise ValueError(f"{named} has no rows")


@dataclass
class _Reading:
    """What all files of a table have to do with each other."""

    table: Table
    lookup: Lookup | None = None
    earlier: EarlierRows | None = None  # None: rows that files share are of no interest
    drops_repeated: bool = False
    num_rows: int = 0  # read so far
    told_marks: set[str] = field(default_factory=set)  # columns of numbers of which it is told


def check_columns(table: Table, lookup: Lookup | None = None) -> None:
    """ValueError where a value of the recipe does not fit a file of a table; the rows are not read.

    Files whose columns are known only after they were copied or read are left for later, but for
    the first.
    """
    files = source_files(table)
    for file in files:
        if file == files[0] or has_cheap_schema(table, file):
            schema = schema_of(table, file)
            if schema:
                whole = _with_lookup(schema, lookup, file)
                expressions_of(table, whole, file, lambda names: Numbers(are_all=False))


def _with_lookup(schema: pl.Schema, lookup: Lookup | None, file: Path) -> pl.Schema:
    """The columns of a file and those that the lookup adds; ValueError where these do not fit."""
    if lookup is None:
        return schema
    lookup.check(schema, file)
    return pl.Schema({**schema, **lookup.rows.drop(KEY).schema})


def _read_file(found: Opened, reading: _Reading, file: Path) -> Iterator[ParsedRows]:
    own = found.frame.collect_schema()
    if not own:
        return
    table = reading.table
    lookup = reading.lookup
    schema = _with_lookup(own, lookup, file)

    def numbers_in(names: list[str]) -> Numbers:
        of_file = found.frame.select(name for name in names if name in own)
        batches = of_file.collect_batches(chunk_size=BATCH_ROWS)
        numbers = numbers_in_batches(batches, table.decimal)
        if lookup is None or not numbers.are_all:
            return numbers
        added = lookup.rows.select(name for name in names if name not in own)
        return numbers_in_batches([added], lookup.decimal)

    expressions = expressions_of(table, schema, file, numbers_in)
    offset = 0
    unmapped = currency_columns(found.frame, table, expressions, schema)
    used = _used_columns(expressions, unmapped, own, reading)
    decimals = dict.fromkeys(lookup.names, lookup.decimal) if lookup else None
    told = codes_in_names(table, expressions, schema, file)
    if lookup and money_uses_lookup(table, expressions, schema):
        told += lookup.currency_codes
    timezone = zone_of_file(found.frame, table, file, expressions, BATCH_ROWS)
    if isinstance(table, Source) and not reading.num_rows:
        warn_of_no_sales(found.frame, table, expressions, file)
        warn_of_names(table, own, file)
    if not reading.num_rows:
        warn_of_split_numbers(found.frame, table, file)
        warn_of_zone_column(found.frame, table, expressions, file)
    # Rows that differ in any column are no duplicates.
    drops_equal = isinstance(table, Source) and table.drop_exact_duplicates
    wanted = found.rows(used, own.names() if drops_equal else [])
    for rows in wanted.collect_batches(chunk_size=BATCH_ROWS):
        if rows.height:
            prepared = _prepared(rows, reading, offset)
            _check_cells(prepared, table, file)
            parts = Rows(prepared, table, file, timezone, decimals)
            if not offset:
                warn_of_marks(parts, expressions, reading.told_marks)
            parsed = _parse_batch(parts, expressions, unmapped)
            batch = replace(parsed, currency_codes=parsed.currency_codes + told)
            yield batch if reading.earlier is None else _without_shared(batch, reading)
            reading.num_rows += rows.height
            offset += rows.height
    found.check_count(offset, file)
    num_lines = offset + table.has_header + table.skip_rows
    if table.format == "csv" and num_lines in SHEET_LINES:
        logger.warning(
            "%s has %d lines, as many as a sheet of Excel; is it cut off?", file, num_lines
        )


def _check_cells(rows: pl.DataFrame, table: Table, file: Path) -> None:
    """ValueError for a cell of more than MAX_CELL_LETTERS."""
    for values in rows.select(pl.col(pl.String)).iter_columns():
        longest = values.str.len_bytes().arg_max()
        if longest is not None and len(values[longest]) > MAX_CELL_LETTERS:
            raise ValueError(
                f"{where(table, file, rows[ROW][longest])}: column {values.name!r} has a cell of "
                f"{len(values[longest])} letters; at most {MAX_CELL_LETTERS} are read"
            )


def _used_columns(
    expressions: list[Expression], unmapped: list[CodeColumn], own: pl.Schema, reading: _Reading
) -> list[str]:
    """The columns of a file that are read, at least one."""
    used = dict.fromkeys(chain.from_iterable(each.types for each in expressions))
    if reading.lookup is not None:
        used[reading.lookup.on] = None
    used |= dict.fromkeys(each.path[0] for each in unmapped)
    return [name for name in used if name in own] or own.names()[:1]


def _prepared(rows: pl.DataFrame, reading: _Reading, offset: int) -> pl.DataFrame:
    """Source rows with their numbers, and what the lookup adds."""
    numbered = rows.with_row_index(ROW, offset + 1)
    if reading.lookup is None:
        return numbered
    return reading.lookup.join(numbered, reading.table.decimal)


def _without_shared(batch: ParsedRows, reading: _Reading) -> ParsedRows:
    """Rows that an earlier file has are counted, and left out where the recipe says so."""
    assert reading.earlier is not None
    is_shared = pl.Series(reading.earlier.are_shared(batch.rows))
    if not reading.drops_repeated or not is_shared.any():
        return batch
    left_out = batch.left_out | {IN_EARLIER_FILE: only_told(batch.rows.filter(is_shared))}
    is_found = None if batch.is_found is None else batch.is_found.filter(~is_shared)
    return replace(batch, rows=batch.rows.filter(~is_shared), left_out=left_out, is_found=is_found)


def _parse_batch(
    rows: Rows, expressions: list[Expression], unmapped: list[CodeColumn]
) -> ParsedRows:
    """The event columns of source rows."""
    num_read = rows.rows.height
    left_out = {}
    for name, others in rows.keep_all(expressions).items():
        left_out[name.replace(".", ":")] = others
    would_tell = {reason: told(others, rows, expressions) for reason, others in left_out.items()}
    parsed = [
        event_column(rows, expression).alias(expression.column)
        for expression in expressions
        if not expression.is_filter
    ]
    if isinstance(rows.table, Source) and rows.table.drop_exact_duplicates:
        parsed.append(rows.row_hashes().alias(ROW_HASH))
    events = pl.DataFrame([rows.rows[ROW], *parsed])
    if isinstance(rows.table, Source):
        events = with_shop_days(events, rows, expressions)
    codes = codes_of(rows.rows, unmapped, events, rows.file)
    is_found = None
    if IS_FOUND in rows.names:
        known = pl.when(pl.col(KEY).is_not_null()).then(pl.col(IS_FOUND).fill_null(False))
        is_found = rows.rows.select(known).to_series()
    return ParsedRows(rows.file, events, num_read, would_tell, codes, is_found)
