"""JSON files as polars reads them, an object a line or one array of objects; what is wrong, by its line."""

import json
import math
import mmap
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from lifecycle.strict_json import half_pair, half_pair_line, parse_json

FIRST_HALF = rb"\\u[dD][89aAbB][0-9a-fA-F]{2}"
SECOND_HALF = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# Candidates: halves of a surrogate pair without the other. Polars refuses a second, and of a first makes a NUL
# character without a word; to look for it takes .3 s a GB.
FIRST_ALONE = re.compile(rb"%b(?!%b)" % (FIRST_HALF, SECOND_HALF))
SECOND_ALONE = re.compile(rb"(?<!%b)%b" % (FIRST_HALF, SECOND_HALF))
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
FORMS = "write one object a line, or one array of objects"
FIRST_ROWS = 1_000  # where keys are looked at; what writes one twice does so from the start
MAX_ARRAY_BYTES = 64 << 20  # of which Python makes objects to look at keys
Row = tuple[str, dict[str, JsonValue]]  # where it stands, and what it says


def scan_json(file: Path, readable: Path) -> pl.LazyFrame:
    """The rows of `file`, of which `readable` is a copy in UTF-8, or the file itself.

    Raises ValueError for half of a surrogate pair, and for a key twice among the first rows, by its
    line.
    """
    if not readable.stat().st_size:  # compressed, there may be nothing in it
        return pl.LazyFrame()
    problem = _half_pair_problem(readable, FIRST_ALONE)
    if problem is not None:
        raise ValueError(f"{file}, {problem}")
    is_array = _is_array(readable)
    if not is_array or readable.stat().st_size <= MAX_ARRAY_BYTES:
        _check_first_rows(file, readable)
    if is_array:
        return pl.read_json(readable, infer_schema_length=None).lazy()
    return pl.scan_ndjson(readable, infer_schema_length=None)


def json_problem(file: Path, readable: Path) -> str | None:
    """What is wrong with a file that polars cannot read, by the first line or entry; None where nothing is found.

    `readable` is a copy of `file` in UTF-8, or the file itself.
    """
    try:
        has_rows = bool(sum(1 for _ in _rows(readable)))
    except ValueError as error:
        return f"{file}{error}"
    if not has_rows:
        return f"{file} has no rows"
    problem = _half_pair_problem(readable, SECOND_ALONE) or _kinds_problem(_rows(readable))
    return None if problem is None else f"{file}, {problem}"


def arrays_problem(name: str, file: Path) -> str:
    """What to tell of a column of arrays, such as the lines of an order in one object."""
    return f"{name} holds arrays in {file}; write a row for each of their entries before ingest"


def _rows(file: Path) -> Iterator[Row]:
    """The objects of a file with their places; ValueError, as it follows the file's name, for what is none."""
    return _entries(file) if _is_array(file) else _lines(file)


def _check_first_rows(file: Path, readable: Path) -> None:
    """ValueError where they are not JSON to the letter: of a key twice polars takes the first without a word."""
    try:
        for _ in islice(_rows(readable), FIRST_ROWS):
            pass
    except ValueError as error:
        raise ValueError(f"{file}{error}") from None


def _kinds_problem(rows: Iterator[Row]) -> str | None:
    """The first value that cannot stand in one column with those before it."""
    first: dict[str, tuple[str, str]] = {}  # place and kind, by key
    for place, values in rows:
        for key, value in values.items():
            if value is None:
                continue
            kind = _kind(value)
            before, kind_before = first.setdefault(key, (place, kind))
            if kind != kind_before:
                told = f"{key} is {kind}, and {kind_before} in {before}"
                return f"{place}: {told}; a column holds values of one kind"
    return None


def _is_array(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(1 << 12).lstrip().startswith(b"[")


def _lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield f"line {number}", _object(line.strip())
                except ValueError as error:
                    raise ValueError(f", line {number}: {error}") from None


def _object(line: bytes) -> dict[str, JsonValue]:
    if line == b"{":
        raise ValueError(f"an object that goes on over several lines; {FORMS}")
    try:
        value = parse_json(line)
    except ValueError as error:
        raise ValueError(_not_a_number(line) or _not_json(str(error))) from None
    if not isinstance(value, dict):
        raise ValueError(f"{_named(value)}, not an object; {FORMS}")
    return value


def _entries(file: Path) -> Iterator[Row]:
    try:
        values = parse_json(file.read_bytes())
    except ValueError as error:
        raise ValueError(f": {_not_json(str(error))}") from None
    assert isinstance(values, list)
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise ValueError(f", entry {number}: {_named(value)}, not an object; {FORMS}")
        yield f"entry {number}", value


def _not_json(error: str) -> str:
    if error.endswith("is not UTF-8"):
        return f"{error}; say its encoding in the recipe, such as encoding: cp1252"
    return f"not JSON: {error}; mend it, or export it anew"


def _not_a_number(line: bytes) -> str | None:
    """The key whose value is no number that JSON has, where that alone is wrong with a line."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    for key, value in row.items() if isinstance(row, dict) else ():
        if isinstance(value, float) and not math.isfinite(value):
            return f"{key} is {json.dumps(value)}, which is no JSON value; write null where there is no number"
    return None


def _named(value: JsonValue) -> str:
    """A value that is no object, cut short."""
    return "an array" if isinstance(value, list) else json.dumps(value)[:40]


def _kind(value: JsonValue) -> str:
    """What a column may hold; text beside numbers is read as text."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else "a number or text"


def _half_pair_problem(file: Path, candidates: re.Pattern[bytes]) -> str | None:
    with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for found in candidates.finditer(text):
            begin = text.rfind(b"\n", 0, found.start()) + 1
            end = text.find(b"\n", found.start())
            half = half_pair(_strings(text[begin : len(text) if end < 0 else end]))
            if half is not None:
                number = text[:begin].count(b"\n") + 1
                return f"line {number}: it {half_pair_line(half)}"
    return None


def _strings(line: bytes) -> str:
    """What the quoted texts of a line say, pairs put together; behind an escaped backslash `u` begins no escape."""
    quoted = QUOTED.findall(line.decode("utf-8", errors="replace"))
    try:
        return "\n".join(json.loads(text, strict=False) for text in quoted)
    except ValueError:  # no JSON, which polars will say
        return ""
