"""Files to lazy frames: CSV in any encoding, blank-separated text, Parquet, JSON; columns of text stay text."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import polars.selectors as cs

from training.ingest.files.blank_separated import scan_blank_separated
from training.ingest.files.compressed import compression_of, decompressed
from training.ingest.files.csv_quotes import checked_csv, header_of, warn_of_short_rows
from training.ingest.files.encodings import check_encoding, has_mark, is_utf8, transcoded
from training.ingest.files.found import partition_values
from training.ingest.files.headers import check_header, check_is_csv
from training.ingest.files.json_rows import json_problem, scan_json
from training.ingest.files.parquet_texts import text_problem
from training.ingest.sources import Table, numbered_names

TEXTS = cs.categorical() | cs.enum() | cs.binary()  # types of Parquet that hold them, beside text


@dataclass(frozen=True)
class Opened:
    """The rows of a file, lazily, and how many there must be where that was counted before they were read.

    `raw` are the same rows as a Parquet file has them, with bytes where `frame` has texts.
    """

    frame: pl.LazyFrame
    num_rows: int | None = None
    raw: pl.LazyFrame | None = None

    def rows(self, used: list[str], compared: list[str]) -> pl.LazyFrame:
        """Some columns, and others that are only compared, so that their bytes need not be text."""
        names = list(dict.fromkeys([*used, *compared]))
        if self.raw is None:
            return self.frame.select(names)
        return self.raw.select(names).with_columns((TEXTS & cs.by_name(used)).cast(pl.String))

    def check_count(self, num_read: int, file: Path) -> None:
        """ValueError where other than these rows were read."""
        if self.num_rows is not None and num_read != self.num_rows:
            raise ValueError(
                f"{file}: {self.num_rows} rows by its line ends and quotes, but {num_read} were read; "
                "say the `quote` and `escape` of the program that wrote it"
            )


@contextmanager
def opened(table: Table, file: Path) -> Iterator[Opened]:
    """The rows of one file; valid inside the with-block.

    CSV columns are all text, so that nothing is guessed from a sample. What polars cannot read is a
    ValueError that names the file.
    """
    with _reading(table, file) as folder:
        found = scan(table, file, folder)
        raw = None if found.raw is None else _with_partitions(found.raw, table, file)
        yield Opened(_with_partitions(found.frame, table, file), found.num_rows, raw)


def schema_of(table: Table, file: Path) -> pl.Schema:
    """The columns of one file; no rows are read where the format tells columns without them."""
    with _reading(table, file) as folder:
        if table.format == "csv":
            frame = _unchecked_csv(table, file, _readable(table, file, folder))
        else:
            frame = scan(table, file, folder).frame
        return _with_partitions(frame, table, file).collect_schema()


@contextmanager
def _reading(table: Table, file: Path) -> Iterator[Path]:
    """A folder for copies; what goes wrong meanwhile is a ValueError that names the file."""
    with tempfile.TemporaryDirectory(prefix="evervalue-") as folder:
        try:
            yield Path(folder)
        except (pl.exceptions.PolarsError, OSError, UnicodeError) as error:
            raise ValueError(_reading_problem(table, file, error, Path(folder))) from None


def scan(table: Table, file: Path, folder: Path) -> Opened:
    """The rows of one file; copies are put into `folder` where polars could not read it as it is."""
    if table.format == "parquet":
        raw = pl.scan_parquet(file)
        return Opened(raw.with_columns(TEXTS.cast(pl.String)), raw=raw)
    readable = _readable(table, file, folder)
    if table.format == "json":
        return Opened(scan_json(file, readable))
    if table.delimiter == " ":
        frame, num_short = scan_blank_separated(table, file, readable)
        warn_of_short_rows(file, num_short)
        return Opened(frame)
    if table.escape_character is None:  # polars has none, and would read other names
        check_header(table, file, readable, _scan_csv(table, readable, table.quote_character))
    found = checked_csv(table, file, readable, folder)
    if not found.num_rows:
        check_is_csv(file, readable)
    return Opened(_scan_csv(table, found.path, found.quote), found.num_rows)


def _readable(table: Table, file: Path, folder: Path) -> Path:
    """The file, or a copy of it that is not compressed and in UTF-8."""
    named = file
    compression = compression_of(file)
    if compression:
        file = decompressed(file, compression, folder)
    check_encoding(named, file, table.encoding)
    if table.format == "json" and is_utf8(table.encoding) and has_mark(file):
        return transcoded(file, "utf-8-sig", folder)
    return file if is_utf8(table.encoding) else transcoded(file, table.encoding, folder)


def _unchecked_csv(table: Table, file: Path, readable: Path) -> pl.LazyFrame:
    """The columns of a CSV file, whose rows nobody has counted."""
    if table.delimiter == " ":
        return scan_blank_separated(table, file, readable)[0]
    try:
        header = header_of(table, file, readable)
    except ValueError:
        check_is_csv(file, readable)
        raise
    is_marked = any(mark in cell for cell in header for mark in ('"', "\n", table.delimiter))
    if is_marked or table.escape_character is not None:  # which polars does not know
        names = (
            distinct_names(_numbered(header)) if table.has_header else numbered_names(len(header))
        )
        return pl.LazyFrame(schema=dict.fromkeys(names, pl.String()))
    frame = _scan_csv(table, readable, table.quote_character)
    check_header(table, file, readable, frame)
    return frame


def _numbered(names: list[str]) -> list[str]:
    """Names as polars tells them apart: a second `a` is `a_duplicated_0`."""
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        result.append(f"{name}_duplicated_{seen[name] - 1}" if seen[name] else name)
        seen[name] += 1
    return result


def _scan_csv(table: Table, file: Path, quote: str | None) -> pl.LazyFrame:
    """Columns of one name are told apart by numbers, so that a recipe cannot mean one and get another."""
    frame = pl.scan_csv(
        file,
        separator=table.delimiter,
        has_header=table.has_header,
        skip_lines=table.skip_rows,
        quote_char=quote,
        null_values=list(table.null_values),
        infer_schema=False,
    )
    names = frame.collect_schema().names()
    named = distinct_names(names) if table.has_header else numbered_names(len(names))
    return frame.rename(dict(zip(names, named, strict=True)), strict=True)


def distinct_names(names: list[str]) -> list[str]:
    """Names as polars read them, of which it called a second `a` `a_duplicated_0`: both become `a (1)`, `a (2)`."""
    told = [re.fullmatch(r"(.+)_duplicated_(\d+)", name) for name in names]
    repeated = {match[1] for match in told if match and match[1] in names}
    result = []
    for name, match in zip(names, told, strict=True):
        if name in repeated:
            result.append(f"{name} (1)")
        elif match and match[1] in repeated:
            result.append(f"{match[1]} ({int(match[2]) + 2})")
        else:
            result.append(name)
    return result


def has_cheap_schema(table: Table, file: Path) -> bool:
    """Whether `schema_of` knows the columns of a file without reading all of it."""
    if table.format == "parquet":
        return True
    is_plain = table.format == "csv" and table.delimiter != " " and is_utf8(table.encoding)
    return is_plain and compression_of(file) is None


def _with_partitions(frame: pl.LazyFrame, table: Table, file: Path) -> pl.LazyFrame:
    """The rows with the values that stand in the names of the file's folders, but for those that it has itself."""
    names = frame.collect_schema().names()
    values = partition_values(table, file)
    added = {name: pl.lit(value, pl.String) for name, value in values.items() if name not in names}
    return frame.with_columns(**added)


def _reading_problem(table: Table, file: Path, error: Exception, folder: Path) -> str:
    """What is wrong with a file, in the recipe's terms where we know them."""
    words = " ".join(str(error).split())
    if table.format == "json" and isinstance(error, pl.exceptions.PolarsError):
        problem = json_problem(file, _readable(table, file, folder))
        if problem is not None:
            return problem
    if table.format == "parquet" and "utf" in words.lower():
        problem = text_problem(file)
        if problem is not None:
            return f"{file}{problem}"
    if "invalid utf-8" in words or "codec can't decode" in words:
        return f"{file} is not {table.encoding}; say its encoding in the recipe, such as encoding: cp1252"
    if "empty CSV" in words:
        return f"{file} has no rows"
    return f"{file} cannot be read as {table.format}: {words}"
