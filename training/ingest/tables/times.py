"""Raw column values to instants; what does not parse becomes null for the caller."""

import re
from datetime import time

import polars as pl

from lifecycle.events.schema import FIRST_YEAR, LAST_YEAR
from training.ingest.sources import Table
from training.ingest.tables.parsing import RawColumn, parse_numbers

ISO_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
)
EPOCH_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
ZONE_NAME = "%Z"
TIME_OF_DAY = re.compile("%[-_0#]?[HIklMSTRrXcspPf]|%[.:]")  # directives of date_format
ZONE = re.compile("%[:#]*[zZ]|%[+]")  # directives that say the zone
# Directives of digits without a mark between them: with a lost zero, 111 may be 1 November or 11 January.
ADJACENT = re.compile("%[YmdHMSyjI](?:%[YmdHMSyjI])+")
DIGITS = re.compile("(?:%[-_0]?[YmdHMSyjIekl])+")  # each is one number in a text
WIDTHS = {"Y": 4, "j": 3}  # of others 2
NAME_OF_ZONE = r"[A-Za-z]+|[+-]\d+"  # some zones have numbers for names
UNIVERSAL = ["UTC", "GMT", "Z"]
HAS_OFFSET = r":.*([Zz]|[+-]\d\d(:?\d\d)?)$"  # an ISO 8601 time that says its zone
INSTANT = pl.Datetime("us", "UTC")
MAX_MICROSECONDS = 2e17  # since 1970: beyond LAST_YEAR, and far from overflow


def parse_times(column: RawColumn, date_format: str | None, timezone: str) -> pl.Series:
    """Instants in UTC, null outside FIRST_YEAR to LAST_YEAR. Times without a zone are local times of `timezone`.

    A date without a time is that date at midnight UTC, whatever the zone: a posting of 1 March is
    never before 1 March. Of an hour that occurs twice the first is meant, unless `%Z` tells; a time
    that the change to summer time skips is an hour later.
    """
    instants = _parse_times(column, date_format, timezone)
    is_plausible = instants.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    return instants if is_plausible.all() else instants.set(~is_plausible, None)


def shop_days(
    column: RawColumn, instants: pl.Series, date_format: str | None, timezone: str
) -> pl.Series:
    """The day of the shop of each parsed instant: in its zone, but dates without a time as they are."""
    days = instants.dt.convert_time_zone(timezone).dt.date()
    is_alone = _dates_alone(column, date_format)
    return days.zip_with(~is_alone, instants.dt.date())


def _dates_alone(column: RawColumn, date_format: str | None) -> pl.Series:
    """Where a value is a date without a time."""
    values = column.values
    if date_format is None and values.dtype == pl.String:
        return ~values.str.contains(":", literal=True).fill_null(False)
    has_format = date_format is not None and date_format not in EPOCH_MICROSECONDS
    is_day_format = has_format and not TIME_OF_DAY.search(date_format or "")
    is_formatted = values.dtype == pl.String or values.dtype.is_integer()
    all_alone = values.dtype == pl.Date or (is_day_format and is_formatted)
    return pl.Series([all_alone]).new_from_index(0, values.len())


def are_midnights(column: RawColumn, date_format: str | None) -> bool:
    """Whether every time there is a midnight of no stated zone, as programs write dates that have no time."""
    if says_zones(column, date_format):
        return False
    times = parse_times(column, date_format, "UTC").dt.time()
    return bool((times == time()).fill_null(True).all())


def are_midnights_of(column: RawColumn, date_format: str | None, timezone: str) -> bool:
    """Whether every time says its zone and is a midnight of `timezone`, as dates are that a program took for times."""
    if not says_zones(column, date_format):
        return False
    instants = parse_times(column, date_format, timezone).drop_nulls()
    times = instants.dt.convert_time_zone(timezone).dt.time()
    return not times.is_empty() and bool((times == time()).all())


def says_zones(column: RawColumn, date_format: str | None) -> bool:
    """Whether times carry their zone."""
    values = column.values
    if isinstance(values.dtype, pl.Datetime):
        return values.dtype.time_zone is not None
    if date_format is None:
        return values.dtype == pl.String and bool(values.str.contains(HAS_OFFSET).any())
    return date_format in EPOCH_MICROSECONDS or bool(ZONE.search(date_format))


def _parse_times(column: RawColumn, date_format: str | None, timezone: str) -> pl.Series:
    values = column.values
    may_be_number = values.dtype == pl.String or values.dtype.is_numeric()
    if date_format in EPOCH_MICROSECONDS and may_be_number:
        units = parse_numbers(column, ".") * EPOCH_MICROSECONDS[date_format]
        units = units.set(units.abs() > MAX_MICROSECONDS, None)
        return units.round().cast(pl.Int64, strict=False).cast(INSTANT)
    if date_format is not None and values.dtype.is_integer():
        values = values.cast(pl.String)  # such as 20240131 for %Y%m%d
    if values.dtype == pl.String:
        return _instants_from_text(values.str.strip_chars(), date_format, timezone)
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return _instants(values, timezone)
    return pl.Series(values.name, [None], dtype=INSTANT).new_from_index(0, values.len())


def _instants_from_text(texts: pl.Series, date_format: str | None, timezone: str) -> pl.Series:
    if date_format is not None and date_format.endswith(ZONE_NAME):
        return _instants_of_named_zones(texts, date_format.removesuffix(ZONE_NAME), timezone)
    if date_format is not None:
        zone = timezone if TIME_OF_DAY.search(date_format) else "UTC"
        return _instants(_read(texts, date_format), zone)
    is_given = texts.is_not_null() & (texts != "")
    example = texts.filter(is_given).head(1)
    instants = pl.Series(texts.name, [None], dtype=INSTANT).new_from_index(0, texts.len())

    def does_not_fit(iso_format: str) -> bool:
        return bool(_read(example, iso_format).null_count())

    for iso_format in sorted(ISO_FORMATS, key=does_not_fit):
        if bool((instants.is_not_null() | ~is_given).all()):
            break
        zone = timezone if TIME_OF_DAY.search(iso_format) else "UTC"
        read = _instants(_read(texts, iso_format), zone)
        instants = instants.zip_with(instants.is_not_null(), read)
    return instants


def _instants_of_named_zones(texts: pl.Series, date_format: str, timezone: str) -> pl.Series:
    """Times that end with the name of a zone: UTC or GMT, or one of the names that `timezone` has; null with others.

    PST alone does not say where; together with America/Los_Angeles it says which of two hours is
    meant.
    """
    name = texts.str.extract(f"({NAME_OF_ZONE})$")
    local = _read(texts.str.replace(f"(?:{NAME_OF_ZONE})$", ""), date_format)
    assert isinstance(local.dtype, pl.Datetime)
    if local.dtype.time_zone is not None:  # the offset stands before the name, and says all
        return _instants(local, timezone)
    result = local.dt.replace_time_zone("UTC").set(~name.is_in(UNIVERSAL).fill_null(False), None)
    for ambiguous in ("earliest", "latest"):
        zoned = local.dt.replace_time_zone(timezone, ambiguous=ambiguous, non_existent="null")
        is_meant = (zoned.dt.strftime("%Z") == name).fill_null(False) & result.is_null()
        result = result.zip_with(~is_meant, zoned.dt.convert_time_zone("UTC"))
    return result


def _read(texts: pl.Series, date_format: str) -> pl.Series:
    times = texts.str.to_datetime(date_format, time_unit="us", strict=False)
    if not ADJACENT.search(date_format):
        return times
    return times.set(has_lost_zero(texts, date_format), None)


def has_lost_zero(texts: pl.Series, date_format: str) -> pl.Series:
    """Which texts have too few digits where their format has no mark between them: it is not known whose is missing."""
    is_short = pl.Series([False]).new_from_index(0, texts.len())
    for place, directives in enumerate(DIGITS.findall(date_format)):
        if ADJACENT.fullmatch(directives):
            digits = texts.str.extract_all(r"\d+").list.get(place, null_on_oob=True)
            width = sum(WIDTHS.get(letter, 2) for letter in directives[1::2])
            is_short |= (digits.str.len_chars() < width).fill_null(False)
    return is_short


def _instants(values: pl.Series, timezone: str) -> pl.Series:
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    times = values
    assert isinstance(times.dtype, pl.Datetime)
    if times.dtype.time_zone is None:
        times = _localised(times, timezone)
    return times.dt.convert_time_zone("UTC").cast(INSTANT)


def _localised(times: pl.Series, timezone: str) -> pl.Series:
    if timezone == "UTC":
        return times.dt.replace_time_zone("UTC")
    zoned = times.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    later = times.dt.offset_by("1h").dt.replace_time_zone(
        timezone, ambiguous="earliest", non_existent="null"
    )
    return zoned.zip_with(zoned.is_not_null(), later)


def parse_versions(column: RawColumn, table: Table) -> pl.Series:
    """Numbers, or times in microseconds since 1970, as float64: the higher, the later.

    A number of eight digits that is a date, such as 20240701, is that time: beside times of another
    file it would be none.
    """
    numbers = parse_numbers(column, table.decimal)
    if not (numbers.is_not_null() | column.is_blank()).all():
        times = parse_times(column, table.date_format, table.timezone)
        return times.dt.epoch("us").cast(pl.Float64)
    texts = numbers.cast(pl.Int64, strict=False).cast(pl.String)
    dates = texts.str.to_date("%Y%m%d", strict=False)
    is_date = dates.dt.year().is_between(FIRST_YEAR, LAST_YEAR).fill_null(False)
    if not (is_date | column.is_blank()).all():
        return numbers
    return dates.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64)
