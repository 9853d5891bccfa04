"""What is wrong with a value that is no date by its recipe, or with a whole file of them, and the key that helps."""

import re
from datetime import UTC, datetime

import polars as pl

from lifecycle.events.schema import FIRST_YEAR, LAST_YEAR
from training.ingest.sources import Table
from training.ingest.tables.rows import Rows
from training.ingest.tables.times import EPOCH_MICROSECONDS, ZONE_NAME, has_lost_zero

MONTHS_OF_1970 = (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 3, 1, tzinfo=UTC))
MAX_DAYS = 100_000  # since 1970 or 1900: numbers below it count days
OF_EXCEL = 'days as Excel counts them are {sql: "(x - 25569) * 86400"} of their column x with date_format: epoch_s'
SINCE_1970 = 'days since 1970 are {sql: "x * 86400"}'
NO_DATE = "; where it stands for no date, make it one of null_values"
# What a value looks like for which the recipe has no date_format, and the one to say.
LOOKS = (
    (re.compile(r"\d{5}([.,]\d+)?"), OF_EXCEL),
    (re.compile(r"(19|20)\d{6}(\.0)?"), "say date_format: '%Y%m%d', of whole numbers"),
    (re.compile(r"\d{10}(\.\d+)?"), "say date_format: epoch_s"),
    (re.compile(r"\d{13}"), "say date_format: epoch_ms"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[A-Z]{3,4}"), "say date_format: '%Y-%m-%d %H:%M:%S %Z'"),
)  # fmt: skip
OTHERWISE = "say date_format, such as '%d/%m/%Y %H:%M'"


def date_rule(table: Table, value: object) -> str:
    """The rule that `value` breaks."""
    text = str(value).strip()
    is_none = re.fullmatch(r"0[0\W]*|.*9999.*", text) is not None  # 0000-00-00, 9999-12-31
    if table.date_format is None:
        remedy = next((remedy for look, remedy in LOOKS if look.fullmatch(text)), OTHERWISE)
        rule = f"not an ISO 8601 date or time of {FIRST_YEAR}-{LAST_YEAR}"
        return rule + (NO_DATE if is_none else f"; {remedy}")
    rule = f"which does not match date_format {table.date_format!r} with a year of {FIRST_YEAR}-{LAST_YEAR}"
    if is_none:
        return rule + NO_DATE
    if table.date_format.endswith(ZONE_NAME):
        rule += f"; names of zones are UTC, GMT and those of timezone: {table.timezone}"
    if has_lost_zero(pl.Series([text]), table.date_format).any():
        rule += "; digits without marks between them need their zeros: write 0105, not 105"
    if table.date_format == "epoch_s" and re.fullmatch(r"\d{13}", text):
        rule += "; say epoch_ms where these are milliseconds"
    if table.date_format in EPOCH_MICROSECONDS and re.fullmatch(r"\d{16}|\d{19}", text):
        thousands = "1000" if len(text) == 16 else "1000000"
        rule += f'; as milliseconds these are {{sql: "x / {thousands}"}} of their column x, with epoch_ms'
    return rule


def check_unit(times: pl.Series, rows: Rows, *, are_numbers: bool) -> None:
    """ValueError where all lie in the first months of 1970, as numbers read in another unit than theirs do.

    `are_numbers` says that no text told a year.
    """
    earliest, latest = times.min(), times.max()
    if not (are_numbers and isinstance(earliest, datetime) and isinstance(latest, datetime)):
        return
    first, end = MONTHS_OF_1970
    if first <= earliest and first < latest < end:
        table = rows.table
        how = f" by date_format {table.date_format}" if table.date_format else ""
        when = f"{latest:%Y-%m-%d}" if latest.date() > first.date() else f"{latest:%Y-%m-%d %H:%M}"
        raise ValueError(
            f"{rows.file}:{how} all times lie before {when}; "
            + _unit_remedy(table.date_format, latest)
        )


def _unit_remedy(date_format: str | None, latest: datetime) -> str:
    number = latest.timestamp() * 1e6 / EPOCH_MICROSECONDS.get(date_format or "", 1)
    if date_format in EPOCH_MICROSECONDS and number < MAX_DAYS:
        return f"{OF_EXCEL}; {SINCE_1970}"
    if date_format == "epoch_ms":
        return "say epoch_s where they are seconds"
    return "were they written in another unit than that of their type?"
