"""Ways to write CSV: separators, quotes, escapes, encodings, line ends, and words for nothing."""

import random
from dataclasses import dataclass

OWN_NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
STRIPPED = " \t\r\n\u00a0"


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, and what the recipe says of it.

    `quoting`: `minimal` where a cell needs it, `all`, `stray` as minimal but with bare quotes where
    they are letters to the rule of `docs/data.md`, or `none`.
    """

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    mark: bool = False  # a byte order mark before UTF-8
    line_end: str = "\n"
    mixed_line_ends: bool = False
    quote: str | None = '"'
    quoting: str = "minimal"
    escape: str | None = None
    nulls: tuple[str, ...] = ("",)  # that are written
    null_values: tuple[str, ...] | None = None  # of the recipe; None: not said
    has_header: bool = True
    preamble: tuple[str, ...] = ()
    ends_with_line_end: bool = True

    def can_hold(self, text: str) -> bool:
        """Whether the text stands for itself in a cell of this dialect."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        if text.strip(STRIPPED) in (OWN_NULLS if self.null_values is None else self.null_values):
            return False
        return self.quoting != "none" or not any(
            letter in text for letter in (self.delimiter, "\n", "\r")
        )

    def cell(self, text: str) -> str:
        """A cell as it stands in the file."""
        if self.quoting == "none" or self.quote is None:
            return text
        needs = (self.delimiter, "\n", "\r", self.escape or self.quote)
        must = any(letter in text for letter in needs) or text.startswith(self.quote)
        must = must or (self.quoting == "minimal" and self.quote in text)
        is_bare = (
            self.quoting == "stray"
            and not text.startswith(self.quote)
            and not any(letter in text for letter in (self.delimiter, "\n", "\r"))
        )
        if is_bare or not (must or self.quoting == "all"):
            return text
        if self.escape is None:
            return self.quote + text.replace(self.quote, 2 * self.quote) + self.quote
        escaped = text.replace(self.escape, 2 * self.escape)
        return self.quote + escaped.replace(self.quote, self.escape + self.quote) + self.quote

    def text(self, names: list[str], rows: list[list[str]], draw: random.Random) -> bytes:
        """A whole file."""
        lines = list(self.preamble)
        for cells in [names, *rows] if self.has_header else rows:
            lines.append(self.delimiter.join(self.cell(text) for text in cells))
        parts = []
        for line in lines:
            other = self.mixed_line_ends and draw.random() < 0.3
            parts += [line, "\r\n" if other else self.line_end]
        if not self.ends_with_line_end:
            parts.pop()
        mark = "\ufeff" if self.mark else ""
        return (mark + "".join(parts)).encode(self.encoding)

    def recipe(self) -> dict[str, object]:
        """The keys of the table; those with their defaults are mostly left out."""
        keys: dict[str, object] = {
            "delimiter": self.delimiter,
            "decimal": self.decimal,
            "encoding": self.encoding,
            "has_header": self.has_header,
            "skip_rows": len(self.preamble),
            "quote": '"' if self.quote is not None else "none",
            "escape": self.escape,
        }
        if self.quote is not None:
            keys["quote"] = self.quote
        defaults = {
            "delimiter": ",",
            "decimal": ".",
            "encoding": "utf-8",
            "has_header": True,
            "skip_rows": 0,
            "quote": '"',
            "escape": None,
        }
        told = {name: value for name, value in keys.items() if value != defaults[name]}
        if self.null_values is not None:
            told["null_values"] = list(self.null_values)
        return told


def drawn_dialect(draw: random.Random) -> Dialect:
    """One as some program has it."""
    quoting = draw.choice(("minimal", "minimal", "all", "stray", "none", "escape"))
    quote = draw.choice(('"', '"', '"', "'")) if quoting != "none" else None
    encoding = draw.choice(("utf-8", "utf-8", "utf-8", "cp1252", "latin-1", "utf-16", "utf-8-sig"))
    nulls, null_values = draw.choice(
        (
            (("",), None),
            (("",), None),
            (("NA", ""), None),
            (("NULL", "null", "None"), None),
            (("-", ""), ("-",)),
            (("\\N",), ("\\N",)),
            (("n/a", "?"), ("n/a", "?", "")),
        )
    )
    return Dialect(
        delimiter=draw.choice((",", ",", ";", "\t", "|")),
        decimal=draw.choice((".", ".", ",")),
        encoding=encoding,
        mark=encoding == "utf-8" and draw.random() < 0.2,
        line_end=draw.choice(("\n", "\r\n")),
        mixed_line_ends=draw.random() < 0.1,
        quote=quote,
        quoting="minimal" if quoting == "escape" else quoting,
        escape="\\" if quoting == "escape" else None,
        nulls=nulls,
        null_values=null_values,
        has_header=draw.random() < 0.85,
        preamble=_preamble(draw),
        ends_with_line_end=draw.random() < 0.8,
    )


def _preamble(draw: random.Random) -> tuple[str, ...]:
    if draw.random() < 0.8:
        return ()
    lines = ('Report of "all orders', "", "from,to;2024-01-01", "----")
    return tuple(draw.choice(lines) for _ in range(draw.randint(1, 3)))
