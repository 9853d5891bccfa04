"""A small table joined to every row of a source, by a column that both share."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from training.ingest.files.found import source_files
from training.ingest.files.readers import opened
from training.ingest.sources import Source, Table
from training.ingest.tables.currencies.unmapped import FoundCodes, codes_of_lookup
from training.ingest.tables.parsing import RawColumn, parse_ids
from training.ingest.tables.rows import ROW, Rows, numbers_in_batches
from training.ingest.tables.sql.expressions import Numbers, expressions_of

KEY = "__lookup_key"
IS_FOUND = "__lookup_is_found"


@dataclass(frozen=True)
class Lookup:
    """A lookup's rows: `KEY` as ids are written, and the columns that it adds."""

    path: str
    on: str
    rows: pl.DataFrame
    num_read: int
    left_out: Counter[str]  # rows of the lookup, by reason
    decimal: str
    currency_codes: list[FoundCodes]  # in columns that it does not add

    @property
    def name(self) -> str:
        """What quality.json calls it."""
        return f"lookup {self.path}"

    @property
    def names(self) -> list[str]:
        """The columns that it adds."""
        return [name for name in self.rows.columns if name != KEY]

    def check(self, schema: pl.Schema, file: Path) -> None:
        """ValueError where it does not fit the columns of a file."""
        if self.on not in schema:
            raise ValueError(
                f"{file}: unknown column {self.on!r} in lookup_on; it has {schema.names()}"
            )
        for name in self.names:
            if name in schema:
                raise ValueError(
                    f"lookup {self.path}: {file} has a column {name!r} already; choose another name"
                )

    def join(self, rows: pl.DataFrame, decimal: str) -> pl.DataFrame:
        """Rows with the columns of the lookup, their `KEY`, and `IS_FOUND` where the lookup has it."""
        keys = _keys(rows[self.on], decimal)
        found = self.rows.with_columns(pl.lit(True).alias(IS_FOUND))
        return rows.with_columns(keys).join(found, on=KEY, how="left", maintain_order="left")


def read_lookup(source: Source) -> Lookup | None:
    """The lookup of a source, filtered and computed by its own recipe; None where it has none.

    Raises ValueError where a column is unknown or a key is not unique.
    """
    if source.lookup is None or source.lookup_on is None:
        return None
    table = source.lookup
    left_out: Counter[str] = Counter()
    codes: list[FoundCodes] = []
    parts = [_read(table, path, source.lookup_on, left_out, codes) for path in source_files(table)]
    with_blanks = pl.concat(parts, how="vertical_relaxed")
    rows = with_blanks.drop_nulls(KEY)
    num_read = with_blanks.height + left_out.total()
    left_out[f"missing_{source.lookup_on}"] = with_blanks.height - rows.height
    if rows[KEY].is_duplicated().any():
        twice = rows.filter(pl.col(KEY).is_duplicated())[KEY][0]
        raise ValueError(f"lookup {table.path}: {source.lookup_on!r} is not unique: {twice!r}")
    return Lookup(table.path, source.lookup_on, rows, num_read, left_out, table.decimal, codes)


def _read(
    table: Table, file: Path, on: str, left_out: Counter[str], codes: list[FoundCodes]
) -> pl.DataFrame:
    """The rows of one file of a lookup; those that its filters leave out are counted, and codes of currencies added."""
    with opened(table, file) as found:
        frame = found.frame.collect()
        found.check_count(frame.height, file)
    if on not in frame.columns:
        raise ValueError(f"lookup {file}: unknown column {on!r}; it has {frame.columns}")

    def numbers_in(names: list[str]) -> Numbers:
        return numbers_in_batches([frame.select(names)], table.decimal)

    rows = Rows(frame.with_row_index(ROW, 1), table, file)
    expressions = expressions_of(table, frame.schema, file, numbers_in)
    for reason, others in rows.keep_all(expressions).items():
        left_out[reason.replace(".", ":")] += others.height
    codes += codes_of_lookup(rows.rows, expressions, on, file)
    added = [
        rows.evaluate(expression).alias(expression.column)
        for expression in expressions
        if not expression.is_filter
    ]
    return pl.DataFrame([_keys(rows.rows[on], table.decimal), *added])


def _keys(values: pl.Series, decimal: str) -> pl.Series:
    """Keys as ids are written everywhere: 17850, 17850.0 and `17850 ` are one."""
    if values.dtype.is_nested():
        raise ValueError(
            f"lookup_on {values.name!r} holds {values.dtype}, not one value for each row"
        )
    return parse_ids(RawColumn(values, values, KEY), decimal).alias(KEY)
