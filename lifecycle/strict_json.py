"""JSON as its standard has it: UTF-8, no NaN, no half of a surrogate pair, no key twice; what is wrong, in words."""

import json
import math
import re

from pydantic import JsonValue

# Of texts that were cut in the middle of an emoji, or whose bytes were taken for others.
HALF_PAIR = re.compile("[\ud800-\udfff]")
ADVICE = "write null where there is no number"


def parse_json(text: bytes) -> JsonValue:
    """The value of a JSON text; ValueError says what is wrong without quoting what the text says.

    Halves of surrogate pairs are let through: `half_pair` finds them in the strings that matter.
    """
    try:
        words = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place(text[: error.start].decode())
        raise ValueError(f"byte 0x{text[error.start]:02x} at {place} is not UTF-8") from None
    try:
        found: JsonValue = json.loads(
            words, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        raise ValueError(_in_words(error)) from None
    except ValueError as error:
        raise ValueError(f"{error}{_place_of_constant(words)}") from None
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    return found


def half_pair(text: str) -> str | None:
    """The first half of a surrogate pair in a text, as JSON writes it (`\\ud83d`); None where all pairs are whole.

    Such a half is no character: no encoding can write it, and no tokenizer reads it.
    """
    found = HALF_PAIR.search(text)
    return None if found is None else f"\\u{ord(found[0]):04x}"


def half_pair_line(half: str) -> str:
    """The rule and the remedy, behind where it stands."""
    rule = f"holds {half}, half of a surrogate pair, which is no character"
    return f"{rule}: write both halves, as in \\ud83d\\ude00, or neither"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value; {ADVICE}")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is too large for a number; {ADVICE}")
    return number


def _once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(
            "an object has one key twice; readers differ in which of the two they take"
        )
    return found


def _place_of_constant(text: str) -> str:
    """Where the first NaN or infinity stands outside of quotes; the reader of JSON does not say it."""
    masked = re.sub("NaN|Infinity", lambda found: "\0" * len(found[0]), text)
    try:
        json.loads(masked, strict=False)  # which lets control characters pass within quotes
    except json.JSONDecodeError as error:
        return f" ({_place(text[: error.pos])})"
    return ""


def _in_words(error: json.JSONDecodeError) -> str:
    """Where a text stops to be JSON, and why."""
    before = error.doc[: error.pos]
    place = _place(before)
    if error.pos >= len(error.doc.rstrip()):
        return f"it ends before it is whole: a bracket is not closed ({place})"
    if before.rstrip().endswith(",") and error.doc[error.pos] in "}]":
        return f"a comma stands before the closing bracket at {place}"
    if error.msg == "Extra data":
        return f"more stands behind its end at {place}"
    return f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')} at {place}"


def _place(before: str) -> str:
    """The column behind a text, and the line where it has several."""
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    return f"column {column}" if line == 1 else f"line {line}, column {column}"
