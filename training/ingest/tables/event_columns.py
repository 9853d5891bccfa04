"""What a recipe's expressions give, as the types of event columns; every bad value is named by file, row and value."""

import logging

import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest.sources import CURRENCY, VERSION, where
from training.ingest.tables.date_rules import check_unit, date_rule
from training.ingest.tables.parsing import (
    EXCEL_DIGITS,
    RawColumn,
    are_rounded_by_excel,
    parse_ids,
    parse_numbers,
    parse_texts,
    with_lost_digits,
)
from training.ingest.tables.rows import ROW, Rows, check_parsed, number_rule
from training.ingest.tables.sql.expressions import Expression
from training.ingest.tables.times import EPOCH_MICROSECONDS, parse_times, parse_versions, shop_days

logger = logging.getLogger(__name__)
# Of rows that are left out: what the account and the count of orders need.
TOLD = pl.Schema(
    {
        **{name: EVENT_SCHEMA[name] for name in ("kind", "amount", "order_id", "occurred_at")},
        CURRENCY: pl.String(),
    }
)
VERSIONED = ("customer_id", "event_id", VERSION)  # of which event a row is a version
IDS = ("event_id", "customer_id", "order_id", "item_id", "impression_id")


def told(others: pl.DataFrame, rows: Rows, expressions: list[Expression]) -> pl.DataFrame:
    """What rows that are left out would have told of the TOLD columns; what does not parse there is missing."""
    left_out = Rows(others, rows.table, rows.file, rows.timezone, rows.decimals, is_lenient=True)
    columns = [others[ROW]]
    has_ids = any(each.column == "event_id" for each in expressions)
    wanted = (*TOLD, *VERSIONED) if has_ids else tuple(TOLD)
    for expression in expressions:
        if expression.column in wanted and others.height:
            columns.append(event_column(left_out, expression).alias(expression.column))
    return only_told(pl.DataFrame(columns))


def only_told(rows: pl.DataFrame) -> pl.DataFrame:
    """The TOLD columns of rows, absent ones null, with ROW and what they have of VERSIONED."""
    absent = [name for name in TOLD if name not in rows.columns]
    filled = rows.with_columns(pl.lit(None, TOLD[name]).alias(name) for name in absent)
    also = [name for name in VERSIONED if name in rows.columns]
    return filled.select(ROW, *TOLD, *also)


def event_column(rows: Rows, expression: Expression) -> pl.Series:
    """The values as the type that their event column has; ValueError with file, row and value where one does not."""
    column = RawColumn(rows.evaluate(expression), rows.rows[ROW], expression.column)
    table = rows.table
    decimal = rows.decimal_of(expression)
    if column.values.dtype.is_nested():
        raise ValueError(
            f"{expression.dotted}: {rows.file} has {column.values.dtype} there, not one value for each row"
        )
    if column.name in IDS:
        if not rows.is_lenient:
            _check_digits(column, rows)
        return parse_ids(column, decimal)
    if column.name == VERSION:
        versions = parse_versions(column, table)
        if not rows.is_lenient:
            check_parsed(
                column,
                versions,
                table,
                rows.file,
                lambda value: f"neither a number nor a time: {date_rule(table, value)}",
            )
        return versions
    if column.name not in (*table.numbers, *table.times):
        return parse_texts(column)
    if column.name in table.times:
        return _times(column, rows)
    parsed = parse_numbers(column, decimal)
    if not rows.is_lenient:
        check_parsed(column, parsed, table, rows.file, lambda value: number_rule(table, value))
    return parsed


def _times(column: RawColumn, rows: Rows) -> pl.Series:
    table = rows.table
    times = parse_times(column, table.date_format, rows.timezone)
    if not rows.is_lenient:
        check_parsed(column, times, table, rows.file, lambda value: date_rule(table, value))
        is_typed = isinstance(column.values.dtype, pl.Datetime)
        check_unit(times, rows, are_numbers=is_typed or table.date_format in EPOCH_MICROSECONDS)
    return times


def _check_digits(column: RawColumn, rows: Rows) -> None:
    """ValueError for the first id that has lost digits: two of them would be one customer."""
    lost = with_lost_digits(column)
    index = lost.arg_max() if lost.any() else None
    if index is not None:
        place = where(rows.table, rows.file, column.rows[index])
        raise ValueError(
            f"{place}: {column.name} is {column.values[index]!r}, an id that has lost digits; "
            "export it as text, not as a number that a spreadsheet or a float has rounded"
        )
    is_first = column.rows.len() > 0 and column.rows[0] == 1
    if is_first and are_rounded_by_excel(column):
        logger.warning(
            "%s: all %s of more than 15 digits end in zeros, such as %r, as Excel rounds them: "
            "several may have become one; export them as text",
            rows.file,
            column.name,
            column.values.filter(column.values.str.len_chars() > EXCEL_DIGITS)[0],
        )


def with_shop_days(events: pl.DataFrame, rows: Rows, expressions: list[Expression]) -> pl.DataFrame:
    """Events with the day of the shop, of which those without an order_id make one order; none where that is UTC's."""
    if rows.timezone == "UTC":
        return events
    at = next(each for each in expressions if each.column == "occurred_at")
    column = RawColumn(rows.evaluate(at), rows.rows[ROW], at.column)
    days = shop_days(column, events["occurred_at"], rows.table.date_format, rows.timezone)
    return events.with_columns(days.alias("shop_day"))
