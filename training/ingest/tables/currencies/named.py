"""Currencies in the names of files, and of columns that money comes from: `total_eur`, `Price (USD)`, `Betrag in €`."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from training.ingest.sources import Sql, Table
from training.ingest.tables.currencies.codes import COMMON, DOUBTFUL, SIGNS
from training.ingest.tables.currencies.unmapped import CodeColumn, FoundCodes, regardless_money
from training.ingest.tables.sql.expressions import Expression

CODES = COMMON - DOUBTFUL
SIGNS_OF_NAMES = {sign: code for sign, code in SIGNS.items() if not sign.isalpha()} | {"£": "GBP"}
WORDS_OF_NAMES = {"EURO": "EUR", "EUROS": "EUR", "YEN": "JPY"}
# What converts: a column of rates, or a factor such as 0.92 that the recipe writes itself.
RATE_NAME = re.compile(r"rate|kurs|exchange|(?<![a-z])fx|faktor|factor", re.IGNORECASE)
FACTOR = re.compile(r"[*/]\s*\d*\.\d+|\d*\.\d+\s*\*")


def codes_in_names(
    table: Table, expressions: list[Expression], schema: Mapping[str, pl.DataType], file: Path
) -> list[FoundCodes]:
    """The codes in names of columns whose money is read regardless of currencies, and is not converted.

    Where no column tells one, the name of the file may, as of `orders_eur.csv`.
    """
    found = []
    for money in regardless_money(table, expressions, schema):
        if _converts(money):
            continue
        codes = {name: code_in_name(name) for name in money.types}
        if not any(codes.values()):
            codes = {next(iter(codes)): code_in_name(file.name.partition(".")[0])}
        for name, code in codes.items():
            if code is not None:
                found.append(FoundCodes(file, CodeColumn((name,), True), frozenset([code])))
    return found


def code_in_name(name: str) -> str | None:
    """The only currency in a column's name; none of `eur_usd`, which may be a rate."""
    text = unicodedata.normalize("NFKC", name)
    words = re.split(r"[\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    codes = {word.upper() for word in words if word.upper() in CODES}
    codes |= {WORDS_OF_NAMES[word.upper()] for word in words if word.upper() in WORDS_OF_NAMES}
    codes |= {code for sign, code in SIGNS_OF_NAMES.items() if sign in text}
    return codes.pop() if len(codes) == 1 else None


def _converts(money: Expression) -> bool:
    sql = money.value.sql if isinstance(money.value, Sql) else ""
    return bool(FACTOR.search(sql)) or any(map(RATE_NAME.search, money.types))
