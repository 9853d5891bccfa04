"""What a CSV file looks like that lacks columns of its recipe, and the key that helps."""

import re
from pathlib import Path

import polars as pl

from lifecycle.events.schema import KINDS
from training.ingest.files.found import partition_values
from training.ingest.sources import Source, Table, table_values

FIRST_LINES = 50
MAX_HEAD_LETTERS = 1 << 16
DELIMITERS = (",", ";", "\t", "|")
LOOKS = (
    (re.compile(r"<(!doctype html|html|head|body|table|meta)\b", re.IGNORECASE), "an HTML page; export CSV"),
    (re.compile(r"<\?xml|<\w+[ >]"), "XML; export CSV"),
    (re.compile(r'\{\s*"|\[\s*[\[{]'), "JSON; say `format: json`"),
    (re.compile(r".{257}ustar", re.DOTALL), "a tar archive; unpack it"),
    (re.compile(r"[^\n]*[^\r\n]\r[^\n]*$"), "text whose lines end with carriage returns alone; write line feeds"),
)  # fmt: skip
SEPARATOR = re.compile(r"sep=(.)$", re.IGNORECASE)  # the first line that Excel writes and reads


def check_header(table: Table, file: Path, readable: Path, frame: pl.LazyFrame) -> None:
    """ValueError where a column of the recipe is missing and the first lines of `readable` tell why."""
    names = set(frame.collect_schema().names())
    partitions = partition_values(table, file)
    own = [name for name in _columns_of(table) if name not in partitions]
    missing = [name for name in own if name not in names]
    if not missing:
        return
    hint = _hint(table, _first_lines(readable), own)
    if hint is not None:
        raise ValueError(f"unknown column {missing[0]!r}: {file} {hint}")


def _columns_of(table: Table) -> list[str]:
    """The columns of its files that a recipe names as they are; those within SQL are not looked for."""
    lookup = table.lookup if isinstance(table, Source) else None
    others = (*KINDS, *(lookup.columns if lookup else ()))
    values = table_values(table).values()
    return [value for value in values if isinstance(value, str) and value not in others]


def _first_lines(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", errors="replace", newline="\n") as handle:
        head = handle.read(MAX_HEAD_LETTERS)
    return [line.rstrip("\r") for line in head.split("\n")[:FIRST_LINES]]


def _hint(table: Table, lines: list[str], own: list[str]) -> str | None:
    looks = _look(lines)
    if looks is not None:
        return looks
    below = lines[table.skip_rows :]
    if not table.has_header:
        return _comment_hint(table, below) or _delimiter_hint(table, below)
    return _names_hint(table, below, own) or _delimiter_hint(table, below)


def _look(lines: list[str]) -> str | None:
    """What a file is that begins so, and is no CSV."""
    text = "\n".join(lines).lstrip()
    meaning = next((meaning for look, meaning in LOOKS if look.match(text)), None)
    return None if meaning is None else f"is {meaning}"


def check_is_csv(file: Path, readable: Path) -> None:
    """ValueError where the first lines of `readable` show that it is something else."""
    looks = _look(_first_lines(readable))
    if looks is not None:
        raise ValueError(f"{file} {looks}")


def _names_hint(table: Table, lines: list[str], own: list[str]) -> str | None:
    """Of a file that has the names of all columns in a later line, or with another delimiter."""
    if len(own) < 2:  # a cell of a row may be such a name
        return None
    for skip_rows, line in enumerate(lines, start=table.skip_rows):
        for delimiter in DELIMITERS:
            names = {cell.strip("\"'") for cell in line.split(delimiter)}
            keys = _keys(table, skip_rows, delimiter)
            if names.issuperset(own) and keys:
                return f"has it in line {skip_rows + 1}; say {keys}"
    return None


def _comment_hint(table: Table, lines: list[str]) -> str | None:
    """Of a file without header that begins with comments."""
    number = next((n for n, line in enumerate(lines) if not line.startswith("#")), 0)
    keys = _keys(table, table.skip_rows + number, table.delimiter)
    return f"begins with {lines[0][:40]!r}; say {keys}" if number else None


def _delimiter_hint(table: Table, lines: list[str]) -> str | None:
    """Of a file whose first line is one cell."""
    first = lines[0] if lines else ""
    separator = SEPARATOR.match(first)
    if separator:
        return f"begins with {first!r}; say {_keys(table, table.skip_rows + 1, separator[1])}"
    if table.delimiter in first:
        return None
    for delimiter in DELIMITERS:
        if delimiter in first:
            keys = _keys(table, table.skip_rows, delimiter)
            return f"has no {table.delimiter!r} in its first line; say {keys}"
    return None


def _keys(table: Table, skip_rows: int, delimiter: str) -> str:
    """The keys of a recipe that differ, as they are written there."""
    keys = []
    if skip_rows != table.skip_rows:
        keys.append(f"`skip_rows: {skip_rows}`")
    if delimiter != table.delimiter:
        written = delimiter.replace("\t", "\\t")
        keys.append(f'`delimiter: "{written}"`')
    return " and ".join(keys)
