"""Files to lazy frames: CSV in any encoding, blank-separated text, Parquet, JSON; columns of text stay text."""

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import polars.selectors as cs

from training.ingest.sources import Source, Table, source_files, where


@contextmanager
def opened(table: Table, file: Path) -> Iterator[pl.LazyFrame]:
    """The rows of one file, with the columns of its lookup; valid inside the with-block.

    CSV columns are all text, so that nothing is guessed from a sample. What polars cannot read is a
    ValueError that names the file.
    """
    with tempfile.TemporaryDirectory(prefix="evervalue-") as folder:
        try:
            frame = scan(table, file, Path(folder))
            if isinstance(table, Source):
                frame = _with_lookup(frame, table, file, Path(folder))
            yield frame
        except (pl.exceptions.PolarsError, OSError) as error:
            raise ValueError(_reading_problem(table, file, str(error))) from None


def scan(table: Table, file: Path, folder: Path) -> pl.LazyFrame:
    """The rows of one file, lazily; a copy in UTF-8 is put into `folder` where the file is in another encoding."""
    if table.format == "parquet":
        return pl.scan_parquet(file).with_columns((cs.categorical() | cs.enum()).cast(pl.String))
    readable = file if _is_utf8(table.encoding) else _transcoded(file, table.encoding, folder)
    if table.format == "json":
        if readable is file and _has_mark(file):
            readable = _transcoded(file, "utf-8-sig", folder)
        with readable.open("rb") as handle:
            is_array = handle.read(1 << 12).lstrip().startswith(b"[")
        if is_array:
            return pl.read_json(readable, infer_schema_length=None).lazy()
        return pl.scan_ndjson(readable, infer_schema_length=None)
    if table.delimiter == " ":
        return _scan_blank_separated(table, readable)
    frame = pl.scan_csv(
        readable,
        separator=table.delimiter,
        has_header=table.has_header,
        skip_rows=table.skip_rows,
        null_values=list(table.null_values),
        infer_schema=False,
    )
    if table.has_header:
        return frame
    names = frame.collect_schema().names()
    return frame.rename(dict(zip(names, _numbered_names(len(names)), strict=True)), strict=True)


def has_cheap_schema(table: Table) -> bool:
    """Whether `scan` knows the columns of a file without reading all of it."""
    return table.format == "parquet" or (
        table.format == "csv" and table.delimiter != " " and _is_utf8(table.encoding)
    )


def _numbered_names(number: int) -> list[str]:
    return [f"column_{position}" for position in range(1, number + 1)]


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "").replace("_", "") in ("utf8", "ascii")


def _has_mark(file: Path) -> bool:
    """Whether a file begins with the byte order mark that some programs put before UTF-8."""
    with file.open("rb") as handle:
        return handle.read(3) == b"\xef\xbb\xbf"


def _transcoded(file: Path, encoding: str, folder: Path) -> Path:
    """A copy of the file in UTF-8."""
    copy = folder / f"{len(list(folder.iterdir()))}{file.suffix}"
    try:
        with (
            copy.open("w", encoding="utf-8", newline="") as writer,
            file.open(encoding=encoding, newline="") as reader,
        ):
            while chunk := reader.read(1 << 20):
                writer.write(chunk)
    except LookupError:
        raise ValueError(f"encoding {encoding!r} is unknown") from None
    except UnicodeError as error:
        raise ValueError(f"{file} is not {encoding}: {error}") from None
    return copy


def _scan_blank_separated(table: Table, file: Path) -> pl.LazyFrame:
    """Words between any runs of blanks; empty lines are skipped, lines with more words than the first refused."""
    line = pl.col("line")
    all_lines = pl.scan_csv(
        file,
        separator="\x1f",
        has_header=False,
        skip_rows=table.skip_rows,
        infer_schema=False,
        quote_char=None,
        schema={"line": pl.String()},
    )
    lines = all_lines.filter(line.str.contains(r"\S"))
    words = line.str.extract_all(r"\S+")
    length = words.list.len()
    facts = lines.select(first=words.first(), most=length.max(), row=length.arg_max())
    first, most, row = facts.collect().row(0)
    if first is None:
        return pl.LazyFrame()
    if most > len(first):
        place = where(table, file, row + 1 - int(table.has_header))
        raise ValueError(f"{place}: {most} values where the first line has {len(first)}")
    names = list(first) if table.has_header else _numbered_names(len(first))
    rows = lines.slice(1) if table.has_header else lines
    columns = [
        words.list.get(index, null_on_oob=True).alias(name) for index, name in enumerate(names)
    ]
    cells = rows.select(columns)
    return cells.with_columns(pl.when(~pl.all().is_in(list(table.null_values))).then(pl.all()))


def _with_lookup(frame: pl.LazyFrame, source: Source, file: Path, folder: Path) -> pl.LazyFrame:
    """The rows with the columns of the source's lookup, if it has one."""
    lookup = source.lookup
    key = source.lookup_on
    if lookup is None or key is None:
        return frame
    table = pl.concat([scan(lookup, path, folder) for path in source_files(lookup)]).collect()
    _check_lookup(table, lookup, key, frame.collect_schema(), file)
    columns = [pl.col(str(column)).alias(name) for name, column in lookup.columns.items()]
    added = table.select(key, *columns)
    return frame.join(added.lazy(), on=key, how="left", maintain_order="left")


def _check_lookup(
    table: pl.DataFrame, lookup: Table, key: str, schema: pl.Schema, file: Path
) -> None:
    """ValueError where a lookup does not fit the rows of a file."""
    for name in [key, *(str(column) for column in lookup.columns.values())]:
        if name not in table.columns:
            raise ValueError(
                f"lookup {lookup.path}: unknown column {name!r}; it has {table.columns}"
            )
    if key not in schema.names():
        raise ValueError(f"{file}: unknown column {key!r} in lookup_on; it has {schema.names()}")
    for name in lookup.columns:
        if name in schema.names():
            raise ValueError(
                f"lookup {lookup.path}: {file} has a column {name!r} already; choose another name"
            )
    if schema[key] != table.schema[key]:
        raise ValueError(
            f"lookup_on {key!r} is {schema[key]} in {file} and {table.schema[key]} in {lookup.path}"
        )
    if table[key].is_duplicated().any():
        raise ValueError(f"lookup {lookup.path}: {key!r} is not unique")


def _reading_problem(table: Table, file: Path, error: str) -> str:
    """What is wrong with a file, in the recipe's terms where we know them."""
    if "invalid utf-8" in error:
        return f"{file} is not {table.encoding}; say its encoding in the recipe, such as encoding: cp1252"
    if "empty CSV" in error:
        return f"{file} has no rows"
    if "not properly escaped" in error or "invalid csv file" in error:
        return f"{_row_of_open_quote(table, file)}: a quote is opened and not closed"
    long_row = _first_long_row(table, file) if "found more fields" in error else None
    if long_row is not None:
        return long_row
    return f"{file} cannot be read as {table.format}: {' '.join(error.split())}"


def _row_of_open_quote(table: Table, file: Path) -> str:
    """The place of the CSV row whose quote the file never closes, as far as the csv module of Python agrees."""
    row = 0
    with file.open(encoding=table.encoding, errors="replace", newline="") as handle:
        for _ in range(table.skip_rows):
            handle.readline()
        try:
            for _ in csv.reader(handle, delimiter=table.delimiter, strict=True):
                row += 1
        except csv.Error:
            return where(table, file, row + 1 - int(table.has_header))
    return str(file)


def _first_long_row(table: Table, file: Path) -> str | None:
    """Where the first CSV row with more fields than the first line is, as the csv module of Python reads it."""
    with file.open(encoding=table.encoding, errors="replace", newline="") as handle:
        for _ in range(table.skip_rows):
            handle.readline()
        rows = csv.reader(handle, delimiter=table.delimiter)
        width = len(next(rows))
        for row, cells in enumerate(rows, 1 if table.has_header else 2):
            if len(cells) > width:
                place = where(table, file, row)
                return (
                    f"{place}: {len(cells)} fields where the first line has {width}; "
                    "is one with a delimiter unquoted?"
                )
    return None
