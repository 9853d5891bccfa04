"""Source tables of a recipe: reading CSV, Parquet and JSON in batches, and turning their rows into events or items."""

import glob
import importlib.util
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import field_validator

from lifecycle.config import Config
from lifecycle.events import KINDS
from training.parsing import Column, parse_ids, parse_numbers, parse_texts, parse_times

BATCH_ROWS = 500_000
ROW = "__row"
ROW_HASH = "__row_hash"  # of the whole source row, within one run
SUFFIXES = {"csv": (".csv", ".txt", ".tsv"), "parquet": (".parquet",), "json": (".json", ".jsonl", ".ndjson")}
NUMBERS = ("quantity", "amount", "discount", "cost", "rating", "price")
IDS = ("event_id", "customer_id", "order_id", "item_id", "impression_id")


class Sql(Config):
    """An expression in polars' SQL over the columns of one row."""

    sql: str


Value = Sql | str | bool | int | float


class Table(Config):
    """One table of a shop's export. `path` is a file, a folder, a glob, or `package:NAME/FILE` in a Python package.

    A value in `columns`, `kind` or `filter` is a source column, `{sql: EXPRESSION}` or a constant; a constant text is
    written `{sql: "'text'"}`, except for `kind`, whose names need no quotes.
    """

    path: str
    format: Literal["csv", "parquet", "json"] = "csv"
    delimiter: str = ","  # a single blank stands for any run of blanks
    has_header: bool = True
    skip_rows: int = 0
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    null_values: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
    date_format: str | None = None  # None: ISO 8601 only; epoch_s and epoch_ms: numbers since 1970
    timezone: str = "UTC"
    columns: dict[str, Value]
    filter: Value | dict[str, Value] | None = None  # rows to keep; a map names the reason each condition drops for

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) != 1:
            raise ValueError("a delimiter is one character")
        return value


class Source(Table):
    """A table whose rows are events."""

    kind: Value = "purchase"
    drop_exact_duplicates: bool = False
    lookup: Table | None = None  # a small table joined to every row; `columns` names its columns to add
    lookup_on: str | None = None  # the column both share


@dataclass(frozen=True)
class Batch:
    """Parsed rows of one file, with `ROW` (data row from 1), and how many were read and dropped, by reason."""

    file: Path
    rows: pl.DataFrame
    counts: dict[str, int]


def resolve_path(path: str) -> Path:
    """`package:NAME/FILE` inside an installed package (which is not imported), any other path as it is."""
    if not path.startswith("package:"):
        return Path(path)
    package, _, inside = path.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"path {path!r}: the Python package {package!r} is not installed")
    return Path(spec.submodule_search_locations[0]) / inside


def source_files(table: Table) -> list[Path]:
    """The files of a table in name order; ValueError where there are none or a file is not what `format` says."""
    path = resolve_path(table.path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES[table.format])
    else:
        files = [Path(name) for name in sorted(glob.glob(str(path)))]
    if not files:
        raise ValueError(f"path {table.path!r}: no such file, or no {table.format} file in that folder")
    for file in files:
        if file.stat().st_size == 0:
            raise ValueError(f"{file} is empty")
        if table.format == "parquet":
            _check_parquet(file)
    return files


def _check_parquet(file: Path) -> None:
    with file.open("rb") as handle:
        head = handle.read(4)
        handle.seek(-min(4, file.stat().st_size), io.SEEK_END)
        if head != b"PAR1" or handle.read(4) != b"PAR1":
            raise ValueError(f"{file} is not a Parquet file, or is cut off; the recipe says format: parquet")


def scan(table: Table, file: Path) -> pl.LazyFrame:
    """The rows of one file, lazily; CSV columns all as text, so that nothing is guessed from a sample."""
    if table.format == "parquet":
        return pl.scan_parquet(file)
    if table.format == "json":
        first = file.open("rb").read(64).lstrip()
        return pl.read_json(file).lazy() if first.startswith(b"[") else pl.scan_ndjson(file, infer_schema_length=None)
    readable = _transcoded(file, table.encoding)
    if table.delimiter == " ":
        return _scan_blank_separated(table, readable)
    return pl.scan_csv(
        readable,
        separator=table.delimiter,
        has_header=table.has_header,
        skip_rows=table.skip_rows,
        null_values=list(table.null_values),
        infer_schema=False,
    )


def _transcoded(file: Path, encoding: str) -> Path:
    """The file itself if it is UTF-8, else a UTF-8 copy in the temporary folder."""
    if encoding.lower().replace("-", "") in ("utf8", "ascii"):
        return file
    copy = tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=file.suffix, prefix="evervalue-", delete=False)
    try:
        with copy, file.open(encoding=encoding, newline="") as reader:
            while chunk := reader.read(1 << 20):
                copy.write(chunk)
    except LookupError:
        raise ValueError(f"encoding {encoding!r} is unknown") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not {encoding}: {error}") from None
    return Path(copy.name)


def _scan_blank_separated(table: Table, file: Path) -> pl.LazyFrame:
    lines = pl.scan_csv(
        file, separator="\x1f", has_header=False, skip_rows=table.skip_rows, infer_schema=False, quote_char=None
    )
    first = lines.head(1).collect().item().split()
    names = first if table.has_header else [f"column_{number}" for number in range(1, len(first) + 1)]
    words = pl.col("column_1").str.extract_all(r"\S+")
    rows = lines.slice(1) if table.has_header else lines
    return rows.select(words.list.get(index, null_on_oob=True).alias(name) for index, name in enumerate(names))


def read_batches(table: Table) -> Iterator[Batch]:
    """The rows of a table that its filter keeps, parsed, in batches.

    Raises ValueError for an unknown column, an expression that does not evaluate, a value that does not parse
    (with file, row and value), a file without rows, or a lookup that does not fit.
    """
    for file in source_files(table):
        frame = scan(table, file)
        if isinstance(table, Source) and table.lookup is not None:
            frame = _with_lookup(frame, table, file)
        names = frame.collect_schema().names()
        expressions = _expressions(table, names, file)
        frame = _with_numbers(frame, table, expressions, file)
        used = sorted({name for expression in expressions.values() for name in expression.meta.root_names()})
        if isinstance(table, Source) and table.drop_exact_duplicates:
            used = names  # rows that differ in any column are not duplicates
        offset = 0
        for batch in frame.select(used or names[:1]).collect_batches(chunk_size=BATCH_ROWS):
            if batch.height:
                rows = batch.with_row_index(ROW, offset + 1)
                offset += batch.height
                yield _parse_batch(rows, table, expressions, file)
        if offset == 0:
            raise ValueError(f"{file} has no rows")


def _with_lookup(frame: pl.LazyFrame, source: Source, file: Path) -> pl.LazyFrame:
    assert source.lookup is not None
    key = source.lookup_on
    if key is None:
        raise ValueError(f"{file}: lookup needs lookup_on, the column both tables share")
    table = pl.concat([scan(source.lookup, path) for path in source_files(source.lookup)]).collect()
    for name in [key, *(str(column) for column in source.lookup.columns.values())]:
        if name not in table.columns:
            raise ValueError(f"lookup {source.lookup.path}: unknown column {name!r}; it has {table.columns}")
    if key not in frame.collect_schema().names():
        raise ValueError(f"{file}: unknown column {key!r} in lookup_on")
    if table[key].is_duplicated().any():
        raise ValueError(f"lookup {source.lookup.path}: {key!r} is not unique")
    added = table.select(key, *(pl.col(str(column)).alias(name) for name, column in source.lookup.columns.items()))
    return frame.join(added.lazy(), on=key, how="left", maintain_order="left")


def _values(table: Table) -> dict[str, Value]:
    """Every value of the recipe by its dotted name."""
    values = {f"columns.{name}": value for name, value in table.columns.items()}
    if isinstance(table, Source):
        values["kind"] = table.kind
    if isinstance(table.filter, dict):
        values |= {f"filter.{reason}": value for reason, value in table.filter.items()}
    elif table.filter is not None:
        values["filter"] = table.filter
    return values


def _expressions(table: Table, names: list[str], file: Path) -> dict[str, pl.Expr]:
    """The polars expression of every value of the recipe, by dotted name; unknown columns are refused."""
    return {dotted: _expression(value, dotted, names, file) for dotted, value in _values(table).items()}


def _expression(value: Value, dotted: str, names: list[str], file: Path) -> pl.Expr:
    if isinstance(value, Sql):
        try:
            expression = pl.sql_expr(value.sql)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{dotted}: {value.sql!r} is not an SQL expression: {error}") from None
        for name in expression.meta.root_names():
            if name not in names:
                raise ValueError(f"{dotted}: unknown column {name!r} in {value.sql!r}; {file} has {names}")
        return expression
    if isinstance(value, str):
        if value in names:
            return pl.col(value)
        if dotted == "kind" and value in KINDS:
            return pl.lit(value)
        raise ValueError(
            f"{dotted}: unknown column {value!r}; {file} has {names}" + (f", kinds are {KINDS}" * (dotted == "kind"))
        )
    return pl.lit(value)


def _with_numbers(frame: pl.LazyFrame, table: Table, expressions: dict[str, pl.Expr], file: Path) -> pl.LazyFrame:
    """Text columns that SQL expressions use, as numbers where every value is one and none has leading zeros."""
    values = _values(table)
    schema = frame.collect_schema()
    used = {
        name
        for dotted, expression in expressions.items()
        if isinstance(values[dotted], Sql)
        for name in expression.meta.root_names()
        if schema[name] == pl.String
    }
    if not used:
        return frame
    facts = frame.select(
        *(_as_number(name, table.decimal).is_null().and_(pl.col(name).is_not_null()).sum().alias(f"bad:{name}")
          for name in used),
        *(pl.col(name).str.contains(r"^\s*[+-]?0\d").any().alias(f"zeros:{name}") for name in used),
        *(pl.col(name).is_not_null().sum().alias(f"all:{name}") for name in used),
    ).collect(engine="streaming").row(0, named=True)  # fmt: skip
    numeric = [
        name for name in used if not facts[f"bad:{name}"] and not facts[f"zeros:{name}"] and facts[f"all:{name}"]
    ]
    frame = frame.with_columns(_as_number(name, table.decimal).alias(name) for name in numeric)
    for dotted, expression in expressions.items():
        mostly = [name for name in expression.meta.root_names()
                  if name in used and 0 < facts[f"bad:{name}"] < facts[f"all:{name}"] / 2]  # fmt: skip
        _check_evaluates(frame, expression, dotted, mostly, table, file)
    return frame


def _as_number(name: str, decimal: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    if decimal == ",":
        text = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def _check_evaluates(
    frame: pl.LazyFrame, expression: pl.Expr, dotted: str, mostly: list[str], table: Table, file: Path
) -> None:
    """ValueError where an expression does not fit the columns' types; names the first value that is no number."""
    try:
        frame.head(10).select(expression.alias("value")).collect()
    except pl.exceptions.PolarsError as error:
        for name in mostly:
            numbers = frame.with_row_index(ROW, 1).filter(
                _as_number(name, table.decimal).is_null() & pl.col(name).is_not_null()
            )
            row, value = numbers.select(ROW, name).head(1).collect().row(0)
            raise ValueError(f"{dotted}: {where(table, file, row)}: {name} is {value!r}, not a number") from None
        raise ValueError(f"{dotted}: cannot be computed from {file}: {error}") from None


def where(table: Table, file: Path, row: int) -> str:
    """`FILE, row 3 (line 4 of the file)`: data rows count from 1."""
    if table.format != "csv":
        return f"{file}, row {row}"
    return f"{file}, row {row} (line {row + table.skip_rows + int(table.has_header)} of the file)"


def _parse_batch(rows: pl.DataFrame, table: Table, expressions: dict[str, pl.Expr], file: Path) -> Batch:
    counts = {"rows_read": rows.height}
    for dotted, expression in expressions.items():
        if dotted.partition(".")[0] != "filter":
            continue
        reason = dotted.replace(".", ":")
        keep = _evaluate(rows, expression, dotted, file)
        if keep.dtype != pl.Boolean:
            raise ValueError(f"{dotted}: must be true or false for each row, not {keep.dtype}")
        kept = rows.filter(keep.fill_null(False))
        counts[reason] = rows.height - kept.height
        rows = kept
    parsed = [rows[ROW]]
    for dotted, expression in expressions.items():
        name = dotted.removeprefix("columns.")
        if not dotted.startswith("filter"):
            column = Column(_evaluate(rows, expression, dotted, file), rows[ROW], name)
            parsed.append(_parse_column(column, table, file).alias(name))
    if isinstance(table, Source) and table.drop_exact_duplicates:
        parsed.append(rows.drop(ROW).hash_rows().alias(ROW_HASH))
    return Batch(file, pl.DataFrame(parsed), counts)


def _evaluate(rows: pl.DataFrame, expression: pl.Expr, dotted: str, file: Path) -> pl.Series:
    try:
        values = rows.select(expression.alias("value")).to_series()
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{dotted}: cannot be computed from {file}: {error}") from None
    return values.new_from_index(0, rows.height) if values.len() == 1 and rows.height != 1 else values


def _parse_column(column: Column, table: Table, file: Path) -> pl.Series:
    """The values as the type that their event column has; ValueError with file, row and value where one does not."""
    if column.name == "occurred_at":
        parsed, rule = parse_times(column, table.date_format, table.timezone), _date_rule(table.date_format)
    elif column.name in NUMBERS:
        parsed, rule = parse_numbers(column, table.decimal), f"not a number (decimal: {table.decimal!r})"
    elif column.name in IDS:
        return parse_ids(column)
    else:
        return parse_texts(column)
    failed = parsed.is_null() & column.values.is_not_null() & ~column.is_blank()
    if failed.any():
        index = failed.arg_max()
        assert index is not None
        value = column.values[index]
        raise ValueError(f"{where(table, file, column.rows[index])}: {column.name} is {value!r}, {rule}")
    return parsed


def _date_rule(date_format: str | None) -> str:
    if date_format:
        return f"which does not match date_format {date_format!r}"
    return "not an ISO 8601 date or time; say date_format in the recipe, such as '%d/%m/%Y %H:%M'"
