"""CSV files as polars reads them rightly: quoted by the rules, and each record counted a second time.

Where a quote stands that neither begins nor ends a cell, or a cell holds a line end, every record
is looked at, and a file in which a quote swallowed lines is refused with row, cell and remedy.
"""

import csv
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from training.ingest.files.broken_records import MAX_CELL_LETTERS, REMEDY, csv_problem
from training.ingest.files.csv_records import count_records
from training.ingest.sources import Table, numbered_names, where

logger = logging.getLogger(__name__)
LINE_END = "\n"
LONE_RETURN = re.compile(r"\r(?!\n)")
STAND_IN = "\ue000"  # for a lone carriage return, at which the csv module would end a line
SHAPED_ROWS = 1000  # first records, which tell how the cells of a column look
MAX_SHAPES = 20  # of a column that is not free text


@dataclass(frozen=True)
class CsvFile:
    """What polars is given, and how many rows of data it must find there, empty lines included."""

    path: Path
    quote: str | None
    num_rows: int


def checked_csv(table: Table, file: Path, readable: Path, folder: Path) -> CsvFile:
    """The rows of `file`, of which `readable` is a copy in UTF-8, or the file itself.

    They are written anew into `folder` where polars would not see what the quotes mean. Raises
    ValueError where a quote is not closed, or closed within a cell, or has swallowed lines.
    """
    count = count_records(table, readable)
    num_rows = count.num_records - int(table.has_header)
    if not count.num_stray_quotes:
        warn_of_short_rows(file, count.num_short)
    if table.escape_character is not None or count.num_stray_quotes or count.is_inside:
        copy = folder / f"{uuid4().hex}.csv"
        num_records = _write(checked_records(table, file, readable), table, copy)
        return CsvFile(copy, '"', num_records - int(table.has_header))
    if count.num_lines > count.num_records or count.longest > count.width:
        for _ in checked_records(table, file, readable):
            pass
    return CsvFile(readable, table.quote_character, num_rows)


def warn_of_short_rows(file: Path, num_short: int) -> None:
    """A line in the log where rows have fewer cells than the first line."""
    if num_short:
        logger.warning(
            "%s: %d rows have fewer cells than the first line; the rest are empty", file, num_short
        )


def _write(records: Iterator[list[str]], table: Table, copy: Path) -> int:
    """Write records so that every reader agrees on them; how many they are."""
    num_records = 0
    with copy.open("w", encoding="utf-8", newline="") as handle:
        handle.write("\n" * table.skip_rows)
        writer = csv.writer(handle, delimiter=table.delimiter, lineterminator="\n")
        for record in records:
            writer.writerow(record)
            num_records += 1
    return num_records


def checked_records(table: Table, file: Path, readable: Path) -> Iterator[list[str]]:
    """The records of a CSV file as Python's csv module reads them, its header first; an empty line has no cells.

    Raises ValueError where one cannot be read, has more cells than the first, or has a cell whose
    lines look like records.
    """
    # Lines end as they do for polars: a lone carriage return is a letter.
    with readable.open(encoding="utf-8-sig", newline="\n") as handle, _large_cells():
        records = _records(table, file, handle)
        first = list(islice(records, SHAPED_ROWS))
        columns = Columns(first, table)
        number = 1 - int(table.has_header)
        for record in chain(first, records):
            problem = columns.problem(record)
            if problem:
                raise ValueError(f"{where(table, file, number)}{problem}")
            yield record
            number += 1


def header_of(table: Table, file: Path, readable: Path) -> list[str]:
    """The cells of the first record that is not empty; none of an empty file."""
    with readable.open(encoding="utf-8-sig", newline="\n") as handle, _large_cells():
        return next(_records(table, file, handle), [])


def _records(table: Table, file: Path, handle: TextIO) -> Iterator[list[str]]:
    """Records, from the first line that is not empty; ValueError where one cannot be read."""
    for _ in range(table.skip_rows):
        handle.readline()
    quote = table.quote_character
    lines: list[str] = []  # of the present record
    names: list[str] = []
    reader = csv.reader(
        _kept(_lines(table, handle), lines),
        delimiter=table.delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        escapechar=table.escape_character,
        strict=True,
    )
    number = 1 - int(table.has_header)
    try:
        for record in dropwhile(lambda cells: not cells, reader):
            yield [cell.replace(STAND_IN, "\r") for cell in record]
            names = names or (record if table.has_header else [])
            number += 1
            lines.clear()
    except csv.Error as error:
        problem = csv_problem(str(error), "".join(lines), names, table)
        raise ValueError(f"{where(table, file, number)}, {problem}") from None


def _kept(lines: Iterable[str], into: list[str]) -> Iterator[str]:
    """The same lines, of which each is put into a list, too."""
    for line in lines:
        into.append(line)
        yield line


def _lines(table: Table, handle: TextIO) -> Iterator[str]:
    """Lines without lone carriage returns, and without null values that begin with the escape, as MySQL's \\N does."""
    escape = table.escape_character
    nulls = [re.escape(null) for null in table.null_values if escape and null.startswith(escape)]
    delimiter = re.escape(table.delimiter)
    null = re.compile(rf"(?:^|(?<={delimiter}))(?:{'|'.join(nulls)})(?={delimiter}|\r?\n|$)")
    for line in handle:
        plain = LONE_RETURN.sub(STAND_IN, line)
        yield null.sub("", plain) if nulls else plain


@contextmanager
def _large_cells() -> Iterator[None]:
    """Python's csv module refuses cells of more than 131,072 letters unless told otherwise."""
    before = csv.field_size_limit(MAX_CELL_LETTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class Columns:
    """How the cells of each column look in the first records, whose digits and words count as one letter each."""

    def __init__(self, records: list[list[str]], table: Table) -> None:
        self.delimiter = table.delimiter
        width = len(records[0]) if records else 0
        self.names = records[0] if table.has_header and records else numbered_names(width)
        self.shapes: list[set[str]] = [set() for _ in range(width)]
        for record in records[int(table.has_header) :]:
            for shapes, cell in zip(self.shapes, record, strict=False):
                if "\n" not in cell:
                    shapes.add(shape(cell))

    def problem(self, record: list[str]) -> str | None:
        """What is wrong with a record, as it follows its place; None where nothing is."""
        width = len(self.names)
        if len(record) > width:
            return (
                f": {len(record)} fields where the first line has {width}; "
                "is one with a delimiter unquoted?"
            )
        num_missing = width - len(record)
        for index, cell in enumerate(record):
            if LINE_END in cell and self.look_like_records(cell, index, num_missing):
                begin = cell.partition(LINE_END)[0][:40]
                return (
                    f", column {self.names[index]!r}: the cell that begins {begin!r} holds "
                    f"{cell.count(LINE_END)} line ends, and its lines look like rows; {REMEDY}"
                )
        return None

    def look_like_records(self, cell: str, index: int, num_missing: int = 0) -> bool:
        """Whether a line of a cell is what a quote would swallow that was opened in its column and never closed.

        Such lines have as many cells as there are columns. The first one has what stands behind the
        quote, and the last one what stands before the next quote; where that is in a later column,
        the record has as many cells less. A line that looks as others of its columns do is enough,
        and of the first one and the last one together, most cells.
        """
        width = len(self.names)
        first, *middle, last = (line.rstrip("\r") for line in cell.split(LINE_END))
        whole = [line.split(self.delimiter) for line in (middle if index else [first, *middle])]
        if any(self._fits(enumerate(row)) for row in whole if len(row) == width):
            return True
        end = last.split(self.delimiter)
        if len(end) != index + num_missing + 1:
            return False
        before = list(enumerate(end[:-1]))
        if self._fits(before):
            return True
        begin = first.split(self.delimiter)
        if len(begin) != width - index:
            return False
        behind = enumerate(begin[1:], start=index + 1)
        is_mark = not begin[0].strip() and not end[-1].strip()  # a quote alone, meaning ditto
        return self._fits([*before, *behind], is_likely=is_mark)

    def _fits(self, cells: Iterable[tuple[int, str]], *, is_likely: bool = False) -> bool:
        """Whether most columns that tell agree, among them one that holds numbers and is no free text.

        Where that is likely, half of them are enough, of words alone.
        """
        agreeing = 0
        telling = 0
        has_digits = False
        for column, cell in cells:
            shapes = self.shapes[column]
            if 0 < len(shapes) <= MAX_SHAPES:
                telling += 1
                found = shape(cell)
                agreeing += found in shapes
                has_digits |= found in shapes and "9" in found
        if is_likely:
            return 2 * agreeing >= telling
        return has_digits and 2 * agreeing > telling


def shape(cell: str) -> str:
    """`2024-01-05` as `9-9-9`, `Hat 3` as `a 9`."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", cell.strip()))
