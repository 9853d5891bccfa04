"""Numbers and texts that a recipe's SQL writes itself, where they can be read two ways or go by their letters."""

import re
from pathlib import Path

import polars as pl

ORDER = r"(?:<(?!>)=?|(?<!<)>=?|\bbetween\b)"
# Texts that go by letters, which is not their order, beside a sign that asks for it: 15/01/2024, and 9 beside 10.
DAY_FIRST = re.compile(
    rf"{ORDER}\s*('\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}\b[^']*')", re.IGNORECASE
)
QUOTED_NUMBER = re.compile(rf"{ORDER}\s*('(?:[1-9]\d{{0,2}}|\d+\.\d+)')", re.IGNORECASE)
REMEDIES = {
    DAY_FIRST: "write first_date and last_date, or compare texts that begin by the year",
    QUOTED_NUMBER: "write numbers without quotes",
}
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


def check_literals(sql: str, dotted: str, schema: pl.Schema, file: Path) -> None:
    """ValueError where a number of an expression is also the name of a column, as 2023 may be."""
    for literal in NUMBER.findall(QUOTED.sub(" ", sql)):
        if literal in schema:
            raise ValueError(
                f"{dotted}: {literal} in {sql!r} may mean the number or the column {literal!r} of {file}; "
                f'for the column write "{literal}" in double quotes, for the number {float(literal)}'
            )


def check_order(sql: str, dotted: str) -> None:
    """ValueError where an expression asks which is more, of a quoted number or of a date that begins by the day."""
    for pattern, remedy in REMEDIES.items():
        by_letters = pattern.search(sql)
        if by_letters is not None:
            raise ValueError(
                f"{dotted}: {by_letters[1]} in {sql!r} is a text, and texts go by their letters, "
                f"15 before 2; {remedy}"
            )
