"""Which files a table is read from, and what else lies in its folder.

Table formats that say in files of their own which rows hold (Delta, Iceberg, Hudi) are refused: as
plain Parquet they also have what was deleted. Values that stand in names of folders (Hive's
`day=2024-01-31/`) are columns.
"""

from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from lifecycle.paths import SUFFIXES, broken_links_at, files_at, resolve_path
from training.ingest.files.compressed import COMPRESSED
from training.ingest.sources import Table

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
TABLE_FORMATS = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    "_spark_metadata": "the output of a Spark stream, of which only some files hold",
    "_temporary": "the output of a Spark job that has not ended",
}
REPACK = "unpack it, or pack it with gzip, bzip2 or zstd"
MAGIC = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or export CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "export CSV"),
    b"PAR1": ("a Parquet file", "say `format: parquet`"),
    b"%PDF": ("a PDF", "export CSV"),
    b"\xfd7zXZ\0": ("compressed with xz", REPACK),
    b"7z\xbc\xaf": ("a 7z archive", REPACK),
    b"Rar!": ("a RAR archive", REPACK),
    b"\x04\x22\x4d\x18": ("compressed with lz4", REPACK),
}
HEAD_BYTES = 8
LEVELS = 5  # of folders above a file, in which a table format would have its own


def source_files(table: Table) -> list[Path]:
    """The files of a table in name order; ValueError where there are none or a file is not what `format` says."""
    path = resolve_path(table.path)
    _check_links(path, _suffixes(table))
    files = _files_of(table)
    if not files:
        if path.exists() and not path.is_dir():
            raise ValueError(
                f"path {table.path!r} is a pipe or a device; write it into a file, which is read several times"
            )
        others = f"; it holds {unread_files(table)[:5]}" if path.is_dir() else ""
        raise ValueError(
            f"path {table.path!r}: no such file, or no {table.format} file in that folder{others}"
        )
    for folder in {parent for file in files for parent in list(file.absolute().parents)[:LEVELS]}:
        _check_table_format(folder)
    for file in files:
        _check_content(file, table)
    return files


def unread_files(table: Table) -> list[str]:
    """What lies in a table's folder and is not read, by its name below it.

    Where `path` names files, those that have its name and an ending of compressed ones. Links to
    folders are not followed, as they may lead anywhere.
    """
    path = resolve_path(table.path)
    read = set(_files_of(table))
    if not path.is_dir():
        twins = chain.from_iterable(files_at(Path(f"{path}{end}"), ()) for end in COMPRESSED)
        return [str(file) for file in twins if file not in read]
    others = []
    for file in sorted(path.rglob("*")):
        name = str(file.relative_to(path))
        if file.is_file():
            others += [name] * (file not in read)
        elif file.is_symlink():
            others.append(f"{name} (a link to {file.readlink()})")
    return others


def partition_values(table: Table, file: Path) -> dict[str, str | None]:
    """The columns that stand in the names of the folders from a table's to its file, as Hive and Spark write them."""
    folder = resolve_path(table.path)
    parts = file.relative_to(folder).parts[:-1] if folder.is_dir() else ()
    values: dict[str, str | None] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals and name:
            values[unquote(name)] = None if value == HIVE_NULL else unquote(value)
    return values


def _files_of(table: Table) -> list[Path]:
    """The files of a table; empty ones, which some programs leave in a folder beside others, are none of it."""
    path = resolve_path(table.path)
    files = files_at(path, _suffixes(table))
    with_content = [file for file in files if file.stat().st_size]
    return with_content if path.is_dir() and with_content else files


def _suffixes(table: Table) -> tuple[str, ...]:
    """How names end that a folder's files of this format have."""
    plain = SUFFIXES[table.format]
    if table.format == "parquet":
        return plain
    return (*plain, *(first + second for first in plain for second in COMPRESSED))


def _check_links(path: Path, suffixes: tuple[str, ...]) -> None:
    """ValueError for a link among a table's files that leads to no file."""
    for file in broken_links_at(path, suffixes):
        raise ValueError(f"{file} is a link to {file.readlink()}, which does not exist")


def _check_table_format(folder: Path) -> None:
    """ValueError where other files say which rows of a folder hold."""
    for name, meaning in TABLE_FORMATS.items():
        if (folder / name).exists():
            raise _refusal(folder, meaning)
    if next((folder / "metadata").glob("*.metadata.json"), None) is not None:
        raise _refusal(folder, "an Iceberg table")


def _refusal(folder: Path, meaning: str) -> ValueError:
    return ValueError(
        f"{folder} is {meaning}: its files also hold rows that are deleted or not whole; "
        "write its present rows to a Parquet file of their own"
    )


def _check_content(file: Path, table: Table) -> None:
    """ValueError where a file is empty, or begins as one of another format does."""
    if file.stat().st_size == 0:
        raise ValueError(f"{file} is empty")
    with file.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
        handle.seek(-min(4, file.stat().st_size), 2)
        tail = handle.read(4)
    if table.format == "parquet":
        if head[:4] != b"PAR1" or tail != b"PAR1":
            raise ValueError(
                f"{file} is not a Parquet file, or is cut off; the recipe says format: parquet"
            )
        return
    for magic, (meaning, remedy) in MAGIC.items():
        if head.startswith(magic):
            raise ValueError(
                f"{file} is {meaning}; the recipe says format: {table.format}; {remedy}"
            )
