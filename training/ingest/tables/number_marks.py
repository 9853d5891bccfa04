"""Columns of numbers in which a mark may be the decimal sign or group thousands: `1.234` is one and a bit, or 1234."""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from training.ingest.sources import Source, Table
from training.ingest.tables.currencies.codes import words_of
from training.ingest.tables.currencies.unmapped import SAMPLED_ROWS, first_rows
from training.ingest.tables.rows import Rows
from training.ingest.tables.sql.expressions import Expression

logger = logging.getLogger(__name__)
NO_NUMBER = r"[^\d.,+-]"  # such as the sign that SQL cuts from `1.234 €`
OTHER = {".": ",", ",": "."}
UNNAMED = re.compile(r"^\s*(?:_duplicated_\d+)?$")
GROUPED = r"^[+-]?[1-9]\d{0,2}%s\d{3}$"  # as thousands are, and numbers of three decimals
UNGROUPED_THOUSAND = r"^[+-]?\d{4,}$"
PERCENT = r"(?<![a-z])(?:pct|perc|percent|percentage|prozent)(?![a-z])"
NO_AMOUNT = {
    "amount": re.compile(
        rf"balance|saldo|solde|kontostand|[ck]umul|running total|life ?time|(?<![a-z])ltv|total spen[dt]|{PERCENT}"
    ),
    "discount": re.compile(rf"{PERCENT}|discount rate"),
    "cost": re.compile(PERCENT),
}
PRICE = re.compile(
    r"^(?:unit |item |piece )?price$|^(?:einzel|stück)?preis$|^pri[xz]\w* unita?i?r\w+|^precio unit"
)
QUANTITY = re.compile(
    r"(?<![a-z])(?:qty|quantity|quantité|cantidad|quantità|menge|anzahl|stückzahl|units|pieces)$"
)
BARE = r"^[+-]?0*[1-9]\d*$"


def warn_of_marks(rows: Rows, expressions: Iterable[Expression], told: set[str]) -> None:
    """Say where rows of a file have numbers that can be read two ways, and how they are read.

    `told` has the columns of which that is said already, and gets those of this file.
    """
    names = {
        name
        for each in expressions
        for name, dtype in each.types.items()
        if rows.rows.schema[name] == pl.String
        and (dtype == pl.Float64 or each.column in rows.table.numbers)
    }
    for name in sorted(names - told):
        decimal = rows.decimals.get(name, rows.table.decimal)
        values = rows.rows[name].head(SAMPLED_ROWS).str.replace_all(NO_NUMBER, "")
        mark = ambiguous_mark(values, decimal)
        if mark is None:
            continue
        told.add(name)
        example = values.filter(values.str.contains(mark, literal=True))[0]
        is_decimal = mark == decimal
        read = example.replace(",", ".") if is_decimal else example.replace(mark, "")
        logger.warning(
            "%s: all numbers of column %r with %r have three digits behind it, such as %r, read as %s; "
            "where %r %s say decimal: %r",
            rows.file,
            name,
            mark,
            example,
            read,
            mark,
            "groups thousands" if is_decimal else "is the decimal sign",
            OTHER[decimal],
        )


def warn_of_split_numbers(frame: pl.LazyFrame, table: Table, file: Path) -> None:
    """Say where cells stand in columns without a name, as behind numbers such as `5,50` that a comma has split.

    The first column may be an index without a name.
    """
    names = [name for name in frame.collect_schema().names()[1:] if UNNAMED.match(name)]
    if table.format != "csv" or not names:
        return
    for values in first_rows(frame, names).iter_columns():
        given = values.filter(values.str.strip_chars() != "")
        if not given.is_empty():
            logger.warning(
                "%s: a column without a name holds %r and the like; is a %r within a cell before it, "
                "which should be quoted?",
                file,
                given[0],
                table.delimiter,
            )


def warn_of_names(source: Source, names: Iterable[str], file: Path) -> None:
    """Say where the name of a column that is taken as it is says that it holds something else than its event column."""
    for column, pattern in NO_AMOUNT.items():
        value = source.columns.get(column)
        if isinstance(value, str) and pattern.search(words_of(value.replace("%", " percent "))):
            logger.warning("%s: column %r is read as %s; is it one?", file, value, column)
    amount = source.columns.get("amount")
    unused = [name for name in names if QUANTITY.search(words_of(name))]
    is_price = isinstance(amount, str) and PRICE.search(words_of(amount)) is not None
    if is_price and unused and "quantity" not in source.columns:
        logger.warning(
            "%s: %r is read as amount, whatever %r says; is it the price of one piece?",
            file,
            amount,
            unused[0],
        )


def ambiguous_mark(values: pl.Series, decimal: str) -> str | None:
    """The mark that may be the decimal sign or group thousands in numbers written as texts; None where they tell.

    The decimal sign of the recipe groups thousands where three digits always follow it, and every
    number from 1000 on has it. The other mark is a decimal sign where every number has it.
    """
    given = values.drop_nulls()
    with_sign = given.filter(given.str.contains(decimal, literal=True))
    with_other = given.filter(given.str.contains(OTHER[decimal], literal=True))
    if with_sign.is_empty() == with_other.is_empty():
        return None
    mark = OTHER[decimal] if with_sign.is_empty() else decimal
    marked = with_other if with_sign.is_empty() else with_sign
    if not marked.str.contains(GROUPED % re.escape(mark)).all():
        return None
    tells = UNGROUPED_THOUSAND if mark == decimal else BARE
    return None if given.str.contains(tells).any() else mark
