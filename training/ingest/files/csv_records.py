"""How many records a CSV file holds, counted without a CSV reader from where its quotes and line ends are.

A quote that is no quote, such as the inches in `17" screen`, makes readers take whole lines for
the text of one cell, in silence. So every file is counted here as well as by its reader.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from training.ingest.sources import Table

NEWLINE = 0x0A
RETURN = 0x0D
CHUNK_BYTES = 8 << 20


@dataclass
class RecordCount:
    """Counts of blocks of whole lines; `quote` is None where no character quotes."""

    delimiter: int
    quote: int | None
    num_lines: int = 0  # from the first that is not empty
    num_records: int = 0  # lines, but for those that end within quotes
    width: int = 0  # cells of the first record
    longest: int = 0  # cells of the longest
    num_short: int = 0  # records of fewer cells than the first that are not empty
    num_stray_quotes: int = 0  # that neither begin nor end a cell, nor stand doubled within one
    is_inside: bool = False  # a quote is open
    begun: int = 0  # delimiters of a record that goes on in the next block

    def add(self, block: bytes) -> None:
        """Count lines; the last one ends with a newline, too."""
        found = np.frombuffer(block if self.num_lines else block.lstrip(b"\r\n"), dtype=np.uint8)
        ends = np.flatnonzero(found == NEWLINE)
        self.num_lines += ends.size
        is_empty = _is_empty(found, ends)
        is_delimiter = found == self.delimiter
        is_quote = found == self.quote if self.quote is not None else np.zeros_like(is_delimiter)
        if self.is_inside or is_quote.any():
            # Of the count of quotes up to each byte only the last bit matters, so it may overflow.
            is_within = (np.cumsum(is_quote, dtype=np.uint8) + np.uint8(self.is_inside)) % 2 == 1
            self.num_stray_quotes += self._num_stray(found, np.flatnonzero(is_quote), is_within)
            self.is_inside = bool(is_within[-1])
            is_delimiter &= ~is_within
            is_record = ~is_within[ends]
            ends = ends[is_record]
            is_empty = is_empty[is_record]
        self.num_records += ends.size
        self._add_widths(np.flatnonzero(is_delimiter), ends, is_empty)

    def _add_widths(self, delimiters: np.ndarray, ends: np.ndarray, is_empty: np.ndarray) -> None:
        """Count the cells of the records that end at `ends`."""
        up_to = np.searchsorted(delimiters, ends)
        cells = np.diff(up_to, prepend=0) + 1
        if ends.size:
            cells[0] += self.begun
            self.begun = 0
            self.width = self.width or int(cells[0])
            self.longest = max(self.longest, int(cells.max()))
            self.num_short += int(((cells < self.width) & ~is_empty).sum())
        self.begun += delimiters.size - (int(up_to[-1]) if ends.size else 0)

    def _num_stray(self, found: np.ndarray, quotes: np.ndarray, is_within: np.ndarray) -> int:
        """How many quotes open with something else than an edge before them, or close with it behind them."""
        is_edge = np.zeros(256, dtype=bool)
        is_edge[[self.delimiter, NEWLINE, RETURN, found[quotes[0]]] if quotes.size else []] = True
        opens = is_within[quotes]
        before = np.where(quotes > 0, found[quotes - 1], NEWLINE)
        after = found[quotes + 1]
        return int((~is_edge[np.where(opens, before, after)]).sum())


def _is_empty(found: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which lines hold nothing."""
    starts = np.concatenate(([0], ends[:-1] + 1))[: ends.size]
    lengths = ends - starts
    is_empty: np.ndarray = (lengths == 0) | ((lengths == 1) & (found[starts] == RETURN))
    return is_empty


def count_records(table: Table, file: Path) -> RecordCount:
    """What a file in UTF-8 holds below the lines that the recipe skips, its header included."""
    quote = table.quote_character
    count = RecordCount(ord(table.delimiter), None if quote is None else ord(quote))
    with file.open("rb") as handle:
        for _ in range(table.skip_rows):
            handle.readline()
        for block in _blocks(handle):
            count.add(block)
    return count


def _blocks(handle: BinaryIO) -> Iterator[bytes]:
    """The rest of a file in blocks of whole lines."""
    rest = b""
    while chunk := handle.read(CHUNK_BYTES):
        whole, newline, part = chunk.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = part
        else:
            rest += part
    if rest:
        yield rest + b"\n"
