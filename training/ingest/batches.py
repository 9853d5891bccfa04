"""The rows of a source table in batches: filtered, computed and parsed, every problem named by file, row and value."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from lifecycle.events.schema import FIRST_YEAR, LAST_YEAR, OWN_RATE
from training.ingest.expressions import Expression, expressions_of
from training.ingest.parsing import RawColumn, parse_ids, parse_numbers, parse_texts, parse_times
from training.ingest.readers import has_cheap_schema, opened
from training.ingest.sources import Source, Sql, Table, source_files, where

BATCH_ROWS = 500_000
ROW = "__row"
ROW_HASH = "__row_hash"  # of the whole source row, within one run
NUMBER = "__number:"  # prefix of a column of text parsed as numbers
NUMBERS = ("quantity", "amount", "discount", "cost", "rating", "price", OWN_RATE)
IDS = ("event_id", "customer_id", "order_id", "item_id", "impression_id")
CHECKED_ROWS = 100_000  # of the first rows of a file


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
        with opened(table, file) as frame:
            for batch in _read_file(frame, table, file):
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
        with opened(table, file) as frame:
            schema = frame.collect_schema()
            if schema:
                expressions_of(table, schema, file, lambda names: False)


def _read_file(frame: pl.LazyFrame, table: Table, file: Path) -> Iterator[ParsedRows]:
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


def _all_numbers(frame: pl.LazyFrame, names: list[str], decimal: str) -> bool:
    """Whether every value of these columns of text is a number, and none has leading zeros, as codes have."""
    for rows in frame.select(names).collect_batches(chunk_size=BATCH_ROWS):
        for values in rows.iter_columns():
            if numbers_of(values, decimal) is None:
                return False
    return True


def numbers_of(values: pl.Series, decimal: str) -> pl.Series | None:
    """Texts as numbers; None where one is none, or has leading zeros."""
    column = RawColumn(values, values, values.name)
    numbers = parse_numbers(column, decimal)
    is_bad = numbers.is_null() & ~column.is_blank()
    if is_bad.any() or values.str.contains(r"^\s*[+-]?0\d").any():
        return None
    return numbers


class Rows:
    """Rows of one file, of which filters keep fewer and fewer; columns of text become numbers when first needed."""

    def __init__(self, rows: pl.DataFrame, table: Table, file: Path, offset: int) -> None:
        self.table = table
        self.file = file
        self.names = rows.columns
        self.rows = rows.with_row_index(ROW, offset + 1)

    def keep(self, expression: Expression) -> int:
        """Keep the rows for which a filter is true; how many it leaves out."""
        is_kept = self.evaluate(expression)
        if is_kept.dtype != pl.Boolean:
            raise ValueError(
                f"{expression.dotted}: must be true or false for each row, not {is_kept.dtype}"
            )
        before = self.rows.height
        self.rows = self.rows.filter(is_kept.fill_null(False))
        return before - self.rows.height

    def evaluate(self, expression: Expression) -> pl.Series:
        """The value of an expression for each row."""
        inputs = []
        for name, dtype in expression.types.items():
            values = pl.col(name)
            if dtype == pl.Float64 and self.rows.schema[name] == pl.String:
                values = self._number(name, expression)
            inputs.append(values.cast(dtype).alias(name))
        frame = self.rows.select(ROW, *inputs)
        try:
            values_of_rows = _select(frame, expression.expression)
        except pl.exceptions.PolarsError:
            values_of_rows = None
        if values_of_rows is None:
            raise ValueError(self._failure(frame, expression))
        return values_of_rows

    def check_row_by_row(self, expression: Expression) -> None:
        """ValueError where the value of a row depends on other rows, as that of SUM(x) does."""
        kept = self.rows
        checked = kept.head(CHECKED_ROWS)
        half = checked.height // 2
        parts = []
        for part in (checked, checked.head(half), checked.slice(half)):
            self.rows = part
            parts.append(self.evaluate(expression))
        self.rows = kept
        whole, first, second = parts
        if not whole.equals(first.append(second), check_names=False, null_equal=True):
            raise ValueError(
                f"{expression.dotted}: {expression.value} depends on other rows than its own"
            )

    def row_hashes(self) -> pl.Series:
        """A hash of each whole source row."""
        return self.rows.select(sorted(self.names)).hash_rows()

    def _number(self, name: str, expression: Expression) -> pl.Expr:
        if NUMBER + name not in self.rows.columns:
            column = RawColumn(self.rows[name], self.rows[ROW], name)
            numbers = parse_numbers(column, self.table.decimal)
            reason = f"{_number_rule(self.table)}, as {expression.dotted} needs"
            check_parsed(column, numbers, self.table, self.file, reason)
            self.rows = self.rows.with_columns(numbers.alias(NUMBER + name))
        return pl.col(NUMBER + name)

    def _failure(self, frame: pl.DataFrame, expression: Expression) -> str:
        """Where and why an expression fails: the first row, found by halving."""
        low = 0
        high = frame.height
        error = ""
        while low < high:
            middle = (low + high) // 2
            try:
                _select(frame.head(middle + 1), expression.expression)
                low = middle + 1
            except pl.exceptions.PolarsError as problem:
                high = middle
                error = " ".join(str(problem).split())
        row = frame.row(min(low, frame.height - 1), named=True)
        place = where(self.table, self.file, row.pop(ROW))
        return f"{place}: {expression.dotted} ({expression.value}) cannot be computed from {row}: {error}"


def _select(frame: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    values = frame.select(expression.alias("value")).to_series()
    if values.len() == 1 and frame.height != 1:
        return values.new_from_index(0, frame.height)
    return values


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
        check_parsed(column, numbers, table, rows.file, _number_rule(table))
        return numbers
    if column.name in IDS:
        return parse_ids(column, table.decimal)
    return parse_texts(column)


def check_parsed(column: RawColumn, parsed: pl.Series, table: Table, file: Path, rule: str) -> None:
    """ValueError for the first value that is there but did not parse."""
    if parsed.null_count() == 0:
        return
    failed = parsed.is_null() & ~column.is_blank()
    index = failed.arg_max() if failed.any() else None
    if index is not None:
        place = where(table, file, column.rows[index])
        raise ValueError(f"{place}: {column.name} is {column.values[index]!r}, {rule}")


def _number_rule(table: Table) -> str:
    return f"not a number (decimal: {table.decimal!r})" if table.format == "csv" else "not a number"


def _date_rule(date_format: str | None) -> str:
    if date_format:
        return f"which does not match date_format {date_format!r} with a year of {FIRST_YEAR}-{LAST_YEAR}"
    return f"not an ISO 8601 date or time of {FIRST_YEAR}-{LAST_YEAR}; say date_format, such as '%d/%m/%Y %H:%M'"
