"""Columns that a recipe does not map and that yet say in which currencies the money is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from training.ingest.sources import CURRENCY, Source, Sql, Table
from training.ingest.tables.currencies.codes import (
    NUMBERED,
    code_in,
    names_currency,
    numbers_may_be_codes,
    well_known,
)
from training.ingest.tables.sql.expressions import Expression

MONEY = ("amount", "discount", "cost", "price")
SAMPLED_ROWS = 1000  # of each file, to find columns whose values alone are currencies
MAX_CURRENCIES = 40  # in such a column
MAX_LETTERS = 30
OF_A_NUMBER = r"[\d.,'’()+\-−\s]"


@dataclass(frozen=True)
class CodeColumn:
    """A column, or a field of one, that may tell the currency of money."""

    path: tuple[str, ...]
    is_named: bool  # whether its name says so, or its values alone
    is_money: bool = False  # whether it holds the money, too, as in `€5.50`

    @property
    def name(self) -> str:
        """What messages call it."""
        return ".".join(self.path)

    @property
    def values(self) -> pl.Expr:
        """Its texts without surrounding blanks, and without the money."""
        values = pl.col(self.path[0])
        for name in self.path[1:]:
            values = values.struct.field(name)
        texts = values.cast(pl.String).str.strip_chars()
        if not self.is_money:
            return texts
        return pl.when(texts.str.contains(r"\d")).then(texts.str.replace_all(OF_A_NUMBER, ""))


@dataclass(frozen=True)
class FoundCodes:
    """Codes and signs of currencies that stand beside money in a column of a file."""

    file: Path
    column: CodeColumn
    codes: frozenset[str]


def currency_columns(
    frame: pl.LazyFrame, table: Table, expressions: list[Expression], schema: pl.Schema
) -> list[CodeColumn]:
    """Of `_unmapped_columns` those that are named after currencies, or hold these alone in the first rows of a file.

    `schema` has the columns of the file and of its lookup.
    """
    columns = _unmapped_columns(table, expressions, schema)
    own = frame.collect_schema()
    sampled = dict.fromkeys(each.path[0] for each in columns if not each.is_named)
    names = [name for name in sampled if name in own]
    sample = first_rows(frame, names)
    return [each for each in columns if each.is_named or _holds_currencies(sample, each)]


def first_rows(frame: pl.LazyFrame, names: list[str]) -> pl.DataFrame:
    """The first rows of those columns that can be read: what the recipe does not use need not be text."""
    try:
        return frame.select(names).head(SAMPLED_ROWS).collect()
    except pl.exceptions.PolarsError:
        if len(names) == 1:
            return pl.DataFrame()
    return pl.concat([first_rows(frame, [name]) for name in names], how="horizontal")


def _unmapped_columns(
    table: Table, expressions: list[Expression], schema: Mapping[str, pl.DataType]
) -> list[CodeColumn]:
    """The texts that the recipe's money is read regardless of, whatever they hold; none where it maps a currency."""
    money = regardless_money(table, expressions, schema)
    columns = [
        CodeColumn((name,), is_named=False, is_money=True)
        for each in money
        for name, dtype in each.types.items()
        if dtype == pl.String == schema[name]
    ]
    for name, dtype in schema.items():
        if not all(_is_used(name, each, table) for each in money):
            columns += _own_texts((name,), dtype)
    for each in money:
        for name in each.types:
            columns += _texts_beside(each, (name,), schema[name])
    return list(dict.fromkeys(columns))


def money_uses_lookup(table: Table, expressions: list[Expression], schema: pl.Schema) -> bool:
    """Whether money that is read regardless of currencies comes from the lookup of a source."""
    money = regardless_money(table, expressions, schema)
    return any(_uses_lookup(each, table) for each in money)


def _uses_lookup(money: Expression, table: Table) -> bool:
    lookup = table.lookup if isinstance(table, Source) else None
    return lookup is not None and not lookup.columns.keys().isdisjoint(money.types)


def _is_used(name: str, money: Expression, table: Table) -> bool:
    """Whether an expression computes with a column, or with what the lookup has for it, such as rates."""
    is_key = isinstance(table, Source) and name == table.lookup_on
    return name in money.types or (is_key and _uses_lookup(money, table))


def regardless_money(
    table: Table, expressions: list[Expression], schema: Mapping[str, pl.DataType]
) -> list[Expression]:
    """What the recipe reads as money of one currency."""
    if CURRENCY in table.columns:
        return []
    return [each for each in expressions if each.column in MONEY and _is_regardless(each, schema)]


def _is_regardless(money: Expression, schema: Mapping[str, pl.DataType]) -> bool:
    """Whether an expression uses columns and none that names currencies; constants are in the shop's."""
    texts = [name for name, dtype in money.types.items() if dtype == pl.String]
    for name in money.types:
        texts += _used_texts(money, schema[name])
    return bool(money.types) and not any(map(names_currency, texts))


def _used_texts(money: Expression, dtype: pl.DataType) -> list[str]:
    """The names of the texts in objects that an expression uses."""
    texts = []
    for name, inner in _fields(dtype):
        if _mentions(money, name):
            texts += [name] if inner == pl.String else _used_texts(money, inner)
    return texts


def _texts_beside(money: Expression, path: tuple[str, ...], dtype: pl.DataType) -> list[CodeColumn]:
    """The texts in the objects that an expression goes through, but for those that it uses."""
    columns = []
    for name, inner in _fields(dtype):
        if not _mentions(money, name):
            columns += _own_texts((*path, name), inner)
        elif inner != pl.String:
            columns += _texts_beside(money, (*path, name), inner)
    return columns


def _own_texts(path: tuple[str, ...], dtype: pl.DataType) -> list[CodeColumn]:
    """A column or field of text, or of numbers of currencies; of an object that is named after them all its texts."""
    is_named = names_currency(path[-1])
    if dtype == pl.String or (dtype.is_integer() and numbers_may_be_codes(path[-1])):
        return [CodeColumn(path, is_named)]
    if not is_named:
        return []
    return [CodeColumn((*path, name), True) for name, inner in _fields(dtype) if inner == pl.String]


def _fields(dtype: pl.DataType) -> list[tuple[str, pl.DataType]]:
    return list(pl.Schema(dtype.to_schema()).items()) if isinstance(dtype, pl.Struct) else []


def _mentions(money: Expression, name: str) -> bool:
    sql = money.value.sql if isinstance(money.value, Sql) else ""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql) is not None


def _holds_currencies(sample: pl.DataFrame, column: CodeColumn) -> bool:
    if column.path[0] not in sample.columns:
        return False
    texts = _texts(sample, column)
    if column.is_money:
        return any(map(well_known, texts))
    return 0 < len(texts) <= MAX_CURRENCIES and all(map(well_known, texts))


def codes_of(
    rows: pl.DataFrame, columns: list[CodeColumn], events: pl.DataFrame, file: Path
) -> list[FoundCodes]:
    """The codes in columns of source rows, beside money of the events made of them."""
    if not columns:
        return []
    money = [name for name in MONEY if name in events.columns]
    has_money = events.select(pl.any_horizontal(pl.col(money) != 0.0).fill_null(False))
    names = {each.path[0] for each in columns}
    return _found(rows.select(names).filter(has_money.to_series()), columns, file)


def codes_of_lookup(
    rows: pl.DataFrame, expressions: list[Expression], on: str, file: Path
) -> list[FoundCodes]:
    """The codes in columns of a lookup that it does not add, `on` apart."""
    used = {on, *(name for each in expressions for name in each.types)}
    names = [name for name, dtype in rows.schema.items() if dtype == pl.String and name not in used]
    columns = [CodeColumn((name,), names_currency(name)) for name in names]
    likely = [each for each in columns if each.is_named or _holds_currencies(rows, each)]
    return _found(rows, likely, file)


def _found(rows: pl.DataFrame, columns: list[CodeColumn], file: Path) -> list[FoundCodes]:
    found = []
    for column in columns:
        read = code_in if column.is_named else well_known
        codes = {read(text) for text in _texts(rows, column)}
        found.append(FoundCodes(file, column, frozenset(code for code in codes if code)))
    return [each for each in found if each.codes]


def _texts(rows: pl.DataFrame, column: CodeColumn) -> list[str]:
    """The distinct values; long ones and most numbers are no codes of a column that is named so."""
    texts = rows.select(column.values.alias("text")).to_series().drop_nulls().unique()
    texts = texts.filter(texts != "")
    if column.is_named:
        is_short = texts.str.len_chars() <= MAX_LETTERS
        is_code = ~texts.str.contains(r"\d")
        if numbers_may_be_codes(column.path[-1]):
            is_code |= texts.str.contains(NUMBERED)
        texts = texts.filter(is_short & is_code)
    return texts.to_list()
