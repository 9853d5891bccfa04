"""A recipe's SQL in types that hold its results, whatever the width of its own functions and casts."""

import re
from collections.abc import Callable
from itertools import count

DIVISOR = "__divisor:"  # prefix of a column that holds a number
QUOTED = re.compile(r"(\"[^\"]*\"|'[^']*')")
DIVIDES = re.compile(r"/\s*(\d+(?:\.\d+)?)(?![\w.])")
NARROW_TYPES = re.compile(
    r"\b(?:TINYINT|SMALLINT|MEDIUMINT|INTEGER|INT[248]?|REAL|FLOAT4?)\b(?!\s*\()", re.IGNORECASE
)
# Functions whose results polars keeps in 8 or 32 bits.
NARROW_FUNCTIONS = re.compile(
    r"\b(?:EXTRACT|DATE_PART|LENGTH|CHAR_LENGTH|CHARACTER_LENGTH|OCTET_LENGTH|BIT_LENGTH|STRPOS|SIGN)\s*\(",
    re.IGNORECASE,
)


def prepared_sql(sql: str) -> tuple[str, dict[str, int | float]]:
    """The expression with whole numbers of 64 bits, and the numbers that it divides by, which are columns in it."""
    divisors: dict[str, int | float] = {}
    numbers = count()

    def as_column(match: re.Match[str]) -> str:
        name = f"{DIVISOR}{next(numbers)}"
        divisors[name] = float(match[1]) if "." in match[1] else int(match[1])
        return f'/ "{name}"'

    outside = _outside_quotes(_with_wide_functions(sql), NARROW_TYPES, _wide_type)
    return _outside_quotes(outside, DIVIDES, as_column), divisors


def _wide_type(match: re.Match[str]) -> str:
    return "DOUBLE" if match[0].upper() in ("REAL", "FLOAT", "FLOAT4") else "BIGINT"


def _outside_quotes(
    sql: str, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]
) -> str:
    parts = QUOTED.split(sql)  # every second one is quoted
    return "".join(
        part if number % 2 else pattern.sub(replace, part) for number, part in enumerate(parts)
    )


def _with_wide_functions(sql: str) -> str:
    """Each call of NARROW_FUNCTIONS cast to BIGINT."""
    quoted = [range(*match.span()) for match in QUOTED.finditer(sql)]
    for match in reversed(list(NARROW_FUNCTIONS.finditer(sql))):
        if any(match.start() in span for span in quoted):
            continue
        end = _closing(sql, match.end() - 1)
        if end is not None:
            sql = f"{sql[: match.start()]}CAST({sql[match.start() : end + 1]} AS BIGINT){sql[end + 1 :]}"
    return sql


def _closing(sql: str, opening: int) -> int | None:
    """Where the parenthesis closes that opens there; None where it does not."""
    depth = 0
    for token in re.finditer(r"\"[^\"]*\"|'[^']*'|[()]", sql[opening:]):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return opening + token.start()
    return None
