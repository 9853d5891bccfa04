"""Rows of one file while a recipe is applied to them: filters leave out some, expressions are computed of the rest."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from training.ingest.sources import Sql, Table, where
from training.ingest.tables.parsing import RawColumn, parse_numbers
from training.ingest.tables.row_hashes import row_hashes
from training.ingest.tables.sql.expressions import Expression, Numbers

ROW = "__row"
NUMBER = "__number:"  # prefix of a column of text parsed as numbers
LEADING_ZERO = r"^\s*[+-]?0\d"


def numbers_of(values: pl.Series, decimal: str) -> pl.Series | None:
    """Texts as numbers; None where one is none, or has leading zeros."""
    column = RawColumn(values, values, values.name)
    numbers = parse_numbers(column, decimal)
    is_bad = numbers.is_null() & ~column.is_blank()
    if is_bad.any() or values.str.contains(LEADING_ZERO).any():
        return None
    return numbers


def numbers_in_batches(batches: Iterable[pl.DataFrame], decimal: str) -> Numbers:
    """Whether every value of these rows is a number, and none has leading zeros, as codes have."""
    odd: dict[str, str] = {}
    num_given: Counter[str] = Counter()
    num_odd: Counter[str] = Counter()
    for rows in batches:
        for values in rows.iter_columns():
            given = values.drop_nulls()
            given = given.filter(given.str.strip_chars() != "")
            is_odd = parse_numbers(RawColumn(given, given, given.name), decimal).is_null()
            is_odd |= given.str.contains(LEADING_ZERO)
            num_given[given.name] += given.len()
            num_odd[given.name] += int(is_odd.sum())
            if is_odd.any():
                odd.setdefault(given.name, given.filter(is_odd)[0])
    for name, cell in odd.items():
        if 2 * num_odd[name] <= num_given[name]:
            others = num_given[name] - num_odd[name]
            return Numbers(False, f"column {name!r} holds {cell!r} beside {others} numbers")
    return Numbers(not odd)


class Rows:
    """Rows of one file, of which filters keep fewer and fewer; columns of text become numbers when first needed."""

    def __init__(
        self,
        rows: pl.DataFrame,
        table: Table,
        file: Path,
        timezone: str | None = None,
        decimals: Mapping[str, str] | None = None,
        *,
        is_lenient: bool = False,
    ) -> None:
        self.table = table
        self.file = file
        self.timezone = timezone or table.timezone  # of this file's times
        self.is_lenient = is_lenient  # what does not parse is missing: of rows that are left out
        self.names = [name for name in rows.columns if name != ROW]
        self.rows = rows  # with ROW, counted from 1
        self.decimals = decimals or {}  # of columns with another decimal sign than the table

    def keep(self, expression: Expression) -> pl.DataFrame:
        """Keep the rows for which a filter is true; the others."""
        is_kept = self.evaluate(expression)
        if is_kept.dtype != pl.Boolean:
            given = is_kept.drop_nulls()
            example = f", such as {given[0]!r}" if given.len() else ""
            raise ValueError(
                f"{self.file}: {expression.dotted}: must be true or false for each row, not {is_kept.dtype}"
                f"{example}; compare it, as in {{sql: \"paid = 'yes'\"}}"
            )
        is_kept = is_kept.fill_null(False)
        left_out = self.rows.filter(~is_kept)
        self.rows = self.rows.filter(is_kept)
        return left_out

    def keep_all(self, expressions: list[Expression]) -> dict[str, pl.DataFrame]:
        """Keep the rows for which every filter is true; those that each leaves out, by its dotted name."""
        return {each.dotted: self.keep(each) for each in expressions if each.is_filter}

    def evaluate(self, expression: Expression) -> pl.Series:
        """The value of an expression for each row."""
        inputs = []
        for name, dtype in expression.types.items():
            values = pl.col(name)
            if dtype == pl.Float64 and self.rows.schema[name] == pl.String:
                values = self._number(name, expression)
            elif self.rows.schema[name] == pl.Float32:
                values = values.cast(pl.String)  # its shortest decimal: 19.99, not 19.989999771
            elif dtype == pl.Int64 and self._may_overflow(name, expression):
                dtype = pl.Int128()
            inputs.append(values.cast(dtype).alias(name))
        frame = self.rows.select(ROW, *inputs).with_columns(
            pl.Series(name, np.full(self.rows.height, number))
            for name, number in expression.divisors.items()
        )
        try:
            values_of_rows = _select(frame, expression.expression)
        except pl.exceptions.PolarsError:
            values_of_rows = None
        if values_of_rows is None and self.is_lenient:
            return pl.Series("value", [None], dtype=pl.Float64).new_from_index(0, frame.height)
        if values_of_rows is None:
            raise ValueError(self._failure(frame, expression))
        return values_of_rows

    def _may_overflow(self, name: str, expression: Expression) -> bool:
        """Whether products of whole numbers such as those of a column may need more than 64 bits."""
        num_products = expression.value.sql.count("*") if isinstance(expression.value, Sql) else 0
        if not num_products:
            return False
        most = 2 ** (62 // (num_products + 1))
        numbers = self.rows[name].cast(pl.Int64)
        return bool((~numbers.is_between(-most, most)).any())

    def decimal_of(self, expression: Expression) -> str:
        """The decimal sign of what an expression gives: that of the only column it takes, or the table's."""
        if len(expression.types) != 1:
            return self.table.decimal
        return self.decimals.get(next(iter(expression.types)), self.table.decimal)

    def row_hashes(self) -> pl.Series:
        """A hash of each whole source row."""
        return row_hashes(self.rows.select(self.names))

    def _number(self, name: str, expression: Expression) -> pl.Expr:
        if NUMBER + name not in self.rows.columns:
            column = RawColumn(self.rows[name], self.rows[ROW], name)
            numbers = parse_numbers(column, self.decimals.get(name, self.table.decimal))

            def rule(value: object) -> str:
                return f"{number_rule(self.table, value)}, as {expression.dotted} needs"

            if not self.is_lenient:
                check_parsed(column, numbers, self.table, self.file, rule)
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
        shown = frame.drop(expression.divisors)
        row = shown.row(min(low, frame.height - 1), named=True)
        place = where(self.table, self.file, row.pop(ROW))
        return f"{place}: {expression.dotted} ({expression.value}) cannot be computed from {row}: {error}"


def _select(frame: pl.DataFrame, expression: pl.Expr) -> pl.Series:
    values = frame.select(expression.alias("value")).to_series()
    if values.len() == 1 and frame.height != 1:
        return values.new_from_index(0, frame.height)
    return values


def check_parsed(
    column: RawColumn, parsed: pl.Series, table: Table, file: Path, rule: Callable[[object], str]
) -> None:
    """ValueError for the first value that is there but did not parse; `rule` says what it breaks."""
    if parsed.null_count() == 0:
        return
    failed = parsed.is_null() & ~column.is_blank()
    index = failed.arg_max() if failed.any() else None
    if index is not None:
        place = where(table, file, column.rows[index])
        value = column.values[index]
        raise ValueError(f"{place}: {column.name} is {value!r}, {rule(value)}")


def number_rule(table: Table, value: object) -> str:
    """The rule that `value` breaks, and the decimal sign by which it would be a number."""
    rule = f"not a number (decimal: {table.decimal!r})" if table.format == "csv" else "not a number"
    other = "," if table.decimal == "." else "."
    text = pl.Series([str(value)])
    is_number = parse_numbers(RawColumn(text, text, ""), other)[0] is not None
    return f"{rule}; with decimal: {other!r} it is one" if is_number else rule
