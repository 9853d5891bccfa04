"""What a file given as CSV looks like where its columns are not those of the recipe, and which key helps."""

import codecs
from pathlib import Path

from training.ingest.sources import Table

HEAD_BYTES = 4096
DELIMITERS = (";", "\t", "|", ",")


def hint(table: Table, file: Path, names: list[str]) -> str:
    """A remedy to append to a message, or nothing."""
    if table.format != "csv":
        return ""
    with file.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    remedy = _of_bytes(head, table) or _of_names(table, names)
    return f"; {remedy}" if remedy else ""


def is_other_utf8(file: Path) -> bool:
    """Whether a file has letters beyond ASCII, all of them in UTF-8, which no other encoding gives by chance."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    has_others = False
    try:
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                has_others |= not chunk.isascii()
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return has_others


def _of_bytes(head: bytes, table: Table) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 4 * head.count(0) > len(head):
        return "it looks like UTF-16: say encoding: utf-16"
    text = head.decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = text.splitlines()[table.skip_rows :]
    first = lines[0] if lines else ""
    if first.lower().startswith("sep="):
        return f"its first line says the delimiter: say skip_rows: 1 and delimiter: {first[4:5]!r}"
    num_comments = next((n for n, line in enumerate(lines) if not line.startswith("#")), 0)
    if num_comments:
        return f"its first lines are comments: say skip_rows: {table.skip_rows + num_comments}"
    return None


def _of_names(table: Table, names: list[str]) -> str | None:
    """Where the whole header is one cell."""
    if len(names) != 1:
        return None
    for delimiter in DELIMITERS:
        if delimiter != table.delimiter and delimiter in names[0]:
            return f"its first line has {delimiter!r} between names: say delimiter: {delimiter!r}"
    return None
