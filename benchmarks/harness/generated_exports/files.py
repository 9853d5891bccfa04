"""Writes the rows of a source as CSV, Parquet or JSON: one file, some below a glob, or a folder."""

import bz2
import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness.generated_exports.cells.columns import ID_ROLES
from benchmarks.harness.generated_exports.rows import Row
from benchmarks.harness.generated_exports.source import Source

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    ".gz of two": lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
}
SUFFIXES = {
    "csv": (".csv", ".CSV", ".txt", ".tsv"),
    "parquet": (".parquet",),
    "json": (".json", ".jsonl", ".ndjson"),
}
OTHER_FILES = {"readme.md": b"# columns", "_SUCCESS": b"", ".crc": b"x", "old.xlsx": b"PK\x03\x04"}
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
OTHER_DELIMITERS = ";\t|~^"


def write_source(source: Source, files: list[list[Row]], folder: Path) -> tuple[str, list[str]]:
    """Write the files; the path for the recipe, and the files of its folder that are not read."""
    draw = source.draft.random
    _fit_dialect(source)
    folder.mkdir(parents=True)
    suffix = draw.choice(SUFFIXES[source.form])
    if source.has_folders:
        _write_folders(source, files, folder, suffix)
        return str(folder), []
    for number, rows in enumerate(files):
        compression = draw.choice(list(COMPRESS)) if draw.random() < 0.3 else ""
        compression = "" if source.form == "parquet" else compression
        name = f"part-{number:03d}{suffix}{compression.removesuffix(' of two')}"
        data = COMPRESS[compression](_content(source, rows, is_first=number == 0))
        (folder / name).write_bytes(data)
    if len(files) == 1 and draw.random() < 0.7:
        return str(folder / name), []
    has_names = source.form == "parquet" or (source.form == "csv" and source.dialect.has_header)
    if has_names and draw.random() < 0.15:  # a day on which nothing happened
        (folder / f"part-800{suffix}").write_bytes(_content(source, [], is_first=False))
    if draw.random() < 0.5:
        return f"{folder}/part-*", []
    return str(folder), _add_others(source, folder)


def _write_folders(source: Source, files: list[list[Row]], folder: Path, suffix: str) -> None:
    """A folder for each day, in whose name alone it stands."""
    date = source.draft.name("occurred_at")
    place = source.place("occurred_at")
    for rows in files:
        cell = rows[0].cells[place]
        value = HIVE_NULL if rows[0].event.at is None else quote(str(cell), safe="")
        file = folder / f"{quote(date, safe='')}={value}" / f"part-0{suffix}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(_content(source, rows, is_first=True))


def _add_others(source: Source, folder: Path) -> list[str]:
    """Files that an export's folder also has, the names of those that are not read."""
    draw = source.draft.random
    if draw.random() < 0.5:
        return []
    names = draw.sample(list(OTHER_FILES), 2)
    for name in names:
        (folder / name).write_bytes(OTHER_FILES[name])
    if draw.random() < 0.5:
        names.append(f"part-999{SUFFIXES[source.form][0]}")
        (folder / names[-1]).write_bytes(b"")
    return sorted(names)


def _content(source: Source, rows: list[Row], *, is_first: bool) -> bytes:
    """The bytes of a file; later ones may have their columns in another order."""
    draw = source.draft.random
    order = list(range(len(source.columns)))
    if source.has_folders:
        date = source.draft.name("occurred_at")
        order = [index for index in order if source.columns[index][0] != date]
    given = [name for name, _ in source.columns]
    has_names = source.form != "csv" or source.dialect.has_header
    # Of two columns of one name only their order tells which is which.
    has_names = has_names and len(set(given)) == len(given)
    if not is_first and has_names and draw.random() < 0.2:
        draw.shuffle(order)
    names = [source.columns[index][0] for index in order]
    cells = [[row.cells[index] for index in order] for row in rows]
    writers = {"csv": _csv, "parquet": _parquet, "json": _json}
    return writers[source.form](source, names, cells)


def _csv(source: Source, names: list[str], rows: list[list[object]]) -> bytes:
    draw = source.draft.random
    texts = [list(map(str, row)) for row in rows]
    return source.dialect.text(names, texts, draw)


def _fit_dialect(source: Source) -> None:
    """Without quotes no cell may hold the separator; the recipe says what it came to."""
    dialect = source.dialect
    cells = [cell for row in source.rows for cell in row.cells if isinstance(cell, str)]
    cells += [name for name, _ in source.columns]
    together = "\x1f".join(cells)
    if dialect.quoting == "none" and dialect.delimiter in together:
        free = [letter for letter in OTHER_DELIMITERS if letter not in together]
        source.draft.dialect = replace(dialect, delimiter=free[0])


def _parquet(source: Source, names: list[str], rows: list[list[object]]) -> bytes:
    draw = source.draft.random
    arrays = []
    for index, name in enumerate(names):
        cells = [row[index] for row in rows]
        array = _array(cells, source.draft.types.get(name), draw)
        are_ids = name in [source.draft.names.get(role) for role in ID_ROLES]
        arrays.append(_as_numbers(array) if are_ids and draw.random() < 0.2 else array)
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(arrays, names=names),
        sink,
        row_group_size=draw.choice((7, 1000)),
        compression=draw.choice(("snappy", "zstd", "gzip", "none")),
        use_dictionary=draw.random() < 0.5,
        data_page_version=draw.choice(("1.0", "2.0")),
        use_deprecated_int96_timestamps=draw.random() < 0.2,
    )
    return bytes(sink.getvalue().to_pybytes())


def _array(cells: list[object], dtype: pa.DataType | None, draw: random.Random) -> pa.Array:
    """Cells as the type of their column, or as pandas has them: nothing at all, whole numbers beside blanks."""
    are_blank = [cell is None for cell in cells]
    if all(are_blank) and draw.random() < 0.5:
        return pa.nulls(len(cells))
    if dtype is not None and pa.types.is_decimal(dtype):
        cells = [None if cell is None else Decimal(str(cell)) for cell in cells]
    elif dtype is not None and (pa.types.is_floating(dtype) or pa.types.is_integer(dtype)):
        number = float if pa.types.is_floating(dtype) else int
        cells = [None if cell is None else number(str(cell)) for cell in cells]
    array = pa.array(cells, dtype)
    whole = [cell for cell in cells if isinstance(cell, int)]
    is_exact = dtype in (pa.int64(), pa.int16()) and all(abs(cell) < 2**53 for cell in whole)
    if is_exact and any(are_blank) and draw.random() < 0.5:
        return array.cast(pa.float64())
    return array


def _as_numbers(array: pa.Array) -> pa.Array:
    """Ids as numbers where those of the file all are, as programs do that guess types."""
    texts = [str(value) for value in array.to_pylist() if value is not None]
    are_numbers = all(text.isascii() and text.isdecimal() and text[0] != "0" for text in texts)
    return array.cast(pa.string()).cast(pa.int64()) if texts and are_numbers else array


def _json(source: Source, names: list[str], rows: list[list[object]]) -> bytes:
    draw = source.draft.random
    leaves_out = draw.random() < 0.5
    objects: list[str] = []
    for row in rows:
        pairs = [
            (name, _json_cell(cell))
            for name, cell in zip(names, row, strict=True)
            if cell is not None or not leaves_out or not objects  # each key stands once
        ]
        if draw.random() < 0.2:
            draw.shuffle(pairs)
        objects.append(json.dumps(dict(pairs), ensure_ascii=draw.random() < 0.5))
    if draw.random() < 0.25:
        text = "[" + ",\n".join(objects) + "]"
    else:
        text = "\n".join(objects) + draw.choice(("", "\n"))
    return text.encode(draw.choice(("utf-8", "utf-8", "utf-8-sig")))


def _json_cell(cell: object) -> object:
    """Whole amounts as whole numbers, as JavaScript has them, and what is nested."""
    if isinstance(cell, tuple):
        return {"zip": cell[0], "lines": list(cell[1:])}
    if not isinstance(cell, Decimal):
        return cell
    return int(cell) if cell == cell.to_integral_value() else float(cell)
