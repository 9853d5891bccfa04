"""Source tables of a recipe: which files, in which format, and which event column takes which value."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from lifecycle.config import Config
from lifecycle.events.schema import EVENT_SCHEMA, ITEM_COLUMNS, OWN_RATE

NUMBERS = ("quantity", "amount", "discount", "cost", "rating", "plan_days", "price", OWN_RATE)
# Columns of a source beside those of events: of a row's money, and which of the rows of one event_id is later.
CURRENCY = "currency"
VERSION = "version"
DIRECTIVE = re.compile(r"%[-_0#:.]*[A-Za-z%+\d]")
UNIVERSAL_ZONES = ("Z", "UTC", "GMT")
# Names of zones, and offsets, that a date_format may hold as plain letters.
ZONES = re.compile(
    r"(?<![A-Za-z])(Z|UTC|GMT|[WCE]ES?T|MSK|BST|IST|[PMCEAH][SD]T|[JK]ST|A[CEW][SD]T|NZ[SD]T|SAST|[+-]\d\d:?\d\d)\s*$"
)


class Sql(Config):
    """An expression in polars' SQL over the columns of one row."""

    sql: str


Value = Sql | str | bool | int | float


class Table(Config):
    """One table of a shop's export. `path` is a file, a folder, a glob, or `package:NAME/FILE` in a Python package.

    A value in `columns`, `kind` or `filter` is a source column, `{sql: EXPRESSION}` or a constant;
    a constant text is written `{sql: "'text'"}`, except for `kind`, whose names need no quotes. The
    columns of a file without header are `column_1`, `column_2` and so on.
    """

    times: ClassVar[tuple[str, ...]] = ("occurred_at",)  # columns that hold times
    numbers: ClassVar[tuple[str, ...]] = NUMBERS
    path: str
    format: Literal["csv", "parquet", "json"] = "csv"
    delimiter: str = ","  # a single blank stands for any run of blanks
    has_header: bool = True
    skip_rows: int = Field(0, ge=0)  # lines before the header
    encoding: str = "utf-8"
    quote: str | None = '"'  # around cells that hold delimiters or line ends; none: no character is
    escape: str | None = None  # before a quote that belongs to the cell, where it is not doubled
    decimal: Literal[".", ","] = "."
    null_values: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
    date_format: str | None = None  # None: ISO 8601 only; epoch_s and epoch_ms: numbers since 1970
    timezone: str = "UTC"  # of times that carry none; dates without a time have none
    columns: dict[str, Value]
    # Rows to keep; a map names the reason each condition drops for, but {sql: x} is no such map.
    filter: Value | dict[str, Value] | None = Field(None, union_mode="left_to_right")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) != 1 or not value.isascii():
            raise ValueError("a delimiter is one character, of ASCII")
        return value

    @field_validator("quote", "escape")
    @classmethod
    def _one_ascii_character(cls, value: str | None) -> str | None:
        if value not in (None, "none") and (len(value) != 1 or not value.isascii()):
            raise ValueError("must be one ASCII character, or none")
        return value

    @field_validator("date_format")
    @classmethod
    def _zone_at_the_end(cls, value: str | None) -> str | None:
        if value is not None and "%Z" in value.removesuffix("%Z"):
            raise ValueError("%Z, the name of a zone, is read at the end alone")
        if value is not None and "%s" in value:
            raise ValueError("seconds since 1970 are date_format: epoch_s")
        if value is not None and "%" in value and not re.search("%[-_0]?[YCyGgDFxcv+]", value):
            raise ValueError("names no year; put it before, as {sql: \"'2024' || day\"}")
        return value

    @field_validator("date_format")
    @classmethod
    def _directives_fit(cls, value: str | None) -> str | None:
        try:
            pl.Series([], dtype=pl.String).str.to_datetime((value or "%F").removesuffix("%Z"))
        except pl.exceptions.PolarsError as error:
            rule = str(error).partition("\n")[0].removeprefix("Invalid format string: Please ")
            raise ValueError(f"{rule} Hours before AM or PM are %I, others %H") from None
        return value

    @field_validator("columns", mode="before")
    @classmethod
    def _quoted_dates(cls, columns: object) -> object:
        for name, value in columns.items() if isinstance(columns, Mapping) else ():
            if isinstance(value, date):
                raise ValueError(
                    f"{name}: {value} is read as a date; a column of that name is written in quotes"
                )
        return columns

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            pl.Series([], dtype=pl.Datetime("us")).dt.replace_time_zone(value)
        except pl.exceptions.PolarsError:
            raise ValueError("no such time zone; names are like Europe/Paris") from None
        return value

    @model_validator(mode="after")
    def _zone_is_read(self) -> Self:
        letters = DIRECTIVE.sub(" ", self.date_format or "")
        found = ZONES.search(letters)
        if found is not None and not (found[1] in UNIVERSAL_ZONES and self.timezone == "UTC"):
            raise ValueError(
                f"date_format {self.date_format!r} has {found[1]!r} as plain letters, by which no time is moved, "
                f"and timezone is {self.timezone}: write %#z for Z or an offset, %Z for a name, or leave "
                "date_format out where times are ISO 8601"
            )
        return self

    @property
    def quote_character(self) -> str | None:
        """The character that quotes cells."""
        return None if self.quote == "none" else self.quote

    @property
    def escape_character(self) -> str | None:
        """The character that takes the meaning from a quote behind it; none where quotes are doubled."""
        return None if self.escape in ("none", self.quote) else self.escape


class Source(Table):
    """A table whose rows are events."""

    kind: Value | None = None  # purchase, where `columns` has none either
    drop_exact_duplicates: bool = False
    # Rows that an earlier file of this source has, too. None: files that share most rows are refused.
    duplicates: Literal["keep", "drop"] | None = None
    lookup: Table | None = None  # a small table joined to rows; `columns` names columns to add
    lookup_on: str | None = None  # the column both share

    @field_validator("columns")
    @classmethod
    def _event_columns(cls, columns: dict[str, Value]) -> dict[str, Value]:
        known = [
            *(name for name in EVENT_SCHEMA if name != "shop_day"),
            CURRENCY,
            VERSION,
            *(name for name in ITEM_COLUMNS if name not in EVENT_SCHEMA),
        ]
        for name in columns:
            if name not in known:
                raise ValueError(
                    f"unknown event column {name!r}; event columns are {', '.join(known)}"
                )
        for name in ("customer_id", "occurred_at"):
            if name not in columns:
                raise ValueError(f"needs {name}")
        return columns

    @model_validator(mode="after")
    def _one_kind_and_whole_lookup(self) -> "Source":
        if "kind" in self.columns and self.kind is not None:
            raise ValueError("kind is given twice: as `kind` and in `columns`")
        if (self.lookup is None) != (self.lookup_on is None):
            raise ValueError("lookup and lookup_on, the column both tables share, need each other")
        return self


def table_values(table: Table) -> dict[str, Value]:
    """Every value of a recipe's table by its dotted name."""
    values = {f"columns.{name}": value for name, value in table.columns.items()}
    if isinstance(table, Source) and "kind" not in table.columns:
        # As SQL: a file may have a column that is called purchase.
        values["kind"] = Sql(sql="'purchase'") if table.kind is None else table.kind
    if isinstance(table.filter, dict):
        values |= {f"filter.{reason}": value for reason, value in table.filter.items()}
    elif table.filter is not None:
        values["filter"] = table.filter
    return values


def where(table: Table, file: Path, row: int) -> str:
    """`FILE, row 3`: rows of data count from 1, so a header is not a row."""
    has_header = table.format == "csv" and table.has_header
    return f"{file}, row {row}" + (" after the header" if has_header else "")


def numbered_names(number: int) -> list[str]:
    """Names of the columns of a file without header."""
    return [f"column_{position}" for position in range(1, number + 1)]
