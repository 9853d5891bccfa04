"""Files that are compressed, as shops' exports often are; their first bytes say how, whatever their names."""

import shutil
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

COMPRESSED = (".gz", ".bz2", ".zst")  # how their names end in a folder
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}


def compression_of(file: Path) -> str | None:
    """gzip, bz2, zstd, or None."""
    with file.open("rb") as handle:
        head = handle.read(4)
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def decompressed(file: Path, compression: str, folder: Path) -> Path:
    """A copy of a file; ValueError where it is cut off or damaged."""
    copy = folder / f"{uuid4().hex}{file.suffix}"
    try:
        with (
            pa.input_stream(str(file), compression=compression) as reader,
            copy.open("wb") as writer,
        ):
            shutil.copyfileobj(reader, writer)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{file} cannot be decompressed: {error}") from None
    return copy
