"""Text files in any encoding as UTF-8; one that is in another encoding than its recipe says is refused."""

import codecs
from pathlib import Path
from uuid import uuid4

CHUNK_BYTES = 1 << 20
# Of one byte a letter; what is written in them is never UTF-8 by chance.
ONE_BYTE = (
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1254",
    "iso8859-1",
    "iso8859-2",
    "iso8859-9",
    "iso8859-15",
)
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def is_utf8(encoding: str) -> bool:
    """Whether a file of this encoding can be read as UTF-8."""
    return encoding.lower().replace("-", "").replace("_", "") in ("utf8", "ascii")


def has_mark(file: Path) -> bool:
    """Whether a file begins with the byte order mark that some programs put before UTF-8."""
    with file.open("rb") as handle:
        return handle.read(3) == codecs.BOM_UTF8


def check_encoding(file: Path, readable: Path, encoding: str) -> None:
    """ValueError where the bytes of `file`, of which `readable` is decompressed, show another encoding."""
    name = _known(encoding)
    if name.startswith(("utf-16", "utf-32")):
        return
    wide = _wide_encoding(readable)
    if wide is not None:
        raise ValueError(f"{file} is {wide.upper()}, not {encoding}; say `encoding: {wide}`")
    if name in ONE_BYTE and _is_utf8_beyond_ascii(readable):
        raise ValueError(
            f"{file} is UTF-8, not {encoding}, as its letters beyond ASCII show; say `encoding: utf-8`, "
            f"in a source of its own where other files are {encoding}"
        )


def transcoded(file: Path, encoding: str, folder: Path) -> Path:
    """A copy of the file in UTF-8."""
    copy = folder / f"{uuid4().hex}{file.suffix}"
    try:
        with (
            copy.open("w", encoding="utf-8", newline="") as writer,
            file.open(encoding=encoding, newline="") as reader,
        ):
            while chunk := reader.read(CHUNK_BYTES):
                writer.write(chunk)
    except UnicodeError as error:
        raise ValueError(f"{file} is not {encoding}: {error}") from None
    return copy


def _known(encoding: str) -> str:
    """Python's own name of an encoding."""
    try:
        "".encode(encoding)
    except LookupError:
        raise ValueError(f"encoding {encoding!r} is unknown") from None
    return codecs.lookup(encoding).name


def _wide_encoding(file: Path) -> str | None:
    """The encoding of two or four bytes a letter that the first bytes show."""
    with file.open("rb") as handle:
        head = handle.read(8)
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    zeros = [byte == 0 for byte in head]
    if len(head) < 8 or sum(zeros) != 4:
        return None
    if all(zeros[1::2]):
        return "utf-16-le"
    return "utf-16-be" if all(zeros[::2]) else None


def _is_utf8_beyond_ascii(file: Path) -> bool:
    """Whether a file has letters beyond ASCII, all of them in UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_ascii = True
    try:
        with file.open("rb") as handle:
            while chunk := handle.read(CHUNK_BYTES):
                decoder.decode(chunk)
                is_ascii &= chunk.isascii()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not is_ascii
