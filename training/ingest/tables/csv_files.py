"""CSV files as polars reads them rightly: quoted by the rules, and each record counted a second time.

Where a quote stands that neither begins nor ends a cell, or a cell holds a line end, every record
is looked at, and a file in which a quote swallowed lines is refused with row, cell and remedy.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import TextIO

from training.ingest.tables.csv_records import count_records
from training.ingest.tables.sources import Table, numbered_names, where

MAX_CELL_LETTERS = 16 << 20
LINE_END = "\n"
SHAPED_ROWS = 1000  # first records, which tell how the cells of a column look
MAX_SHAPES = 20  # of a column that is not free text
REMEDY = "say `quote: none` where no cell is quoted, or the `quote` and `escape` of the program that wrote it"


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
    if table.escape_character is not None or count.num_stray_quotes or count.is_inside:
        copy = folder / f"{len(list(folder.iterdir()))}.csv"
        num_records = _write(checked_records(table, file, readable), table, copy)
        return CsvFile(copy, '"', num_records - int(table.has_header))
    if count.num_lines > count.num_records:
        for _ in checked_records(table, file, readable):
            pass
    return CsvFile(readable, table.quote_character, num_rows)


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

    Raises ValueError where one cannot be read, or one of its cells holds lines that look like
    records.
    """
    with readable.open(encoding="utf-8-sig", newline="") as handle, _large_cells():
        records = _records(table, file, handle)
        first = list(islice(records, SHAPED_ROWS))
        columns = Columns(first, table)
        number = 1 - int(table.has_header)
        for record in chain(first, records):
            for index, cell in enumerate(record):
                if "\n" in cell and columns.look_like_records(cell, index):
                    place = f"{where(table, file, number)}, column {columns.names[index]!r}"
                    begin = cell.partition("\n")[0][:40]
                    raise ValueError(
                        f"{place}: the cell that begins {begin!r} holds {cell.count(LINE_END)} line ends, "
                        f"and its lines look like rows; {REMEDY}"
                    )
            yield record
            number += 1


def _records(table: Table, file: Path, handle: TextIO) -> Iterator[list[str]]:
    """Records, from the first line that is not empty; ValueError where one cannot be read."""
    for _ in range(table.skip_rows):
        handle.readline()
    quote = table.quote_character
    reader = csv.reader(
        handle,
        delimiter=table.delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        escapechar=table.escape_character,
        strict=True,
    )
    number = 1 - int(table.has_header)
    try:
        for record in dropwhile(lambda cells: not cells, reader):
            yield record
            number += 1
    except csv.Error as error:
        raise ValueError(f"{where(table, file, number)}: {_problem(str(error))}") from None


def _problem(error: str) -> str:
    """What Python's csv module found wrong, in the recipe's terms."""
    if "unexpected end of data" in error:
        return f"a quote is opened and not closed; {REMEDY}"
    if "expected after" in error:
        return f"a quote is closed within a cell: {error}; {REMEDY}"
    if "field larger than" in error:
        return f"a cell has more than {MAX_CELL_LETTERS} letters; is a quote opened and not closed?"
    return error


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

    def look_like_records(self, cell: str, index: int) -> bool:
        """Whether the lines of a cell are what a quote would swallow that was opened in its column and never closed.

        Then all but the first have as many cells as there are columns, and the last, which ends at
        the next quote, as many as stand before it; they look as others of their columns do.
        """
        *middle, last = cell.splitlines()[1:] or [""]
        rows = [line.split(self.delimiter) for line in middle]
        if any(len(row) != len(self.names) for row in rows):
            return False
        end = last.split(self.delimiter)
        if len(end) != index + 1:
            return False
        return all(self._fits(row) for row in [*rows, end[:-1]] if row) and bool(rows or index)

    def _fits(self, cells: list[str]) -> bool:
        """Whether some column with digits tells, and all that tell agree."""
        told = [
            (shape(cell) in shapes, any("9" in known for known in shapes))
            for cell, shapes in zip(cells, self.shapes, strict=False)
            if 0 < len(shapes) <= MAX_SHAPES
        ]
        return all(fits for fits, _ in told) and any(has_digits for _, has_digits in told)


def shape(cell: str) -> str:
    """`2024-01-05` as `9-9-9`, `Hat 3` as `a 9`."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", cell.strip()))
