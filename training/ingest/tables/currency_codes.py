"""Columns that a recipe does not map and that yet say in which currencies the money is."""

import re
from collections.abc import Iterable

import polars as pl

from training.ingest.tables.expressions import Expression
from training.ingest.tables.sources import CURRENCY, Source, Table

NAMES = re.compile(r"currency|w(?:ä|ae)hrung|\bdevise\b|moneda|valuta|\bccy\b|\biso4217\b")
CODES = r"^(?:[A-Za-z]{3}|[€$£¥₹])$"


def unmapped_columns(
    table: Table, expressions: list[Expression], names: Iterable[str]
) -> list[str]:
    """The columns of a file that may say its currency, where the recipe adds up its money regardless of them."""
    if not isinstance(table, Source) or "amount" not in table.columns or CURRENCY in table.columns:
        return []
    used = {name for each in expressions if each.column == "amount" for name in each.types}
    return [
        name for name in names if NAMES.search(name.lower().replace("_", " ")) and name not in used
    ]


def codes_of(rows: pl.DataFrame, names: list[str], amounts: pl.Series) -> dict[str, set[str]]:
    """By column the codes of currencies that stand beside money, in capitals."""
    with_money = rows.select(names).filter((amounts != 0.0).fill_null(False))
    codes = {}
    for name in names:
        texts = with_money[name].cast(pl.String).str.strip_chars().unique()
        found = texts.filter(texts.str.contains(CODES).fill_null(False))
        codes[name] = set(found.str.to_uppercase())
    return {name: found for name, found in codes.items() if found}
