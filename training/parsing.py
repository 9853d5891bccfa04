"""Raw column values to ids, numbers, texts and instants; a value that does not parse becomes null for the caller."""

from dataclasses import dataclass

import polars as pl

ISO_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
EPOCHS = ("epoch_s", "epoch_ms")
THOUSANDS = {".": (r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$", ","), ",": (r"^[+-]?\d{1,3}(\.\d{3})+(,\d+)?$", ".")}


@dataclass(frozen=True)
class Column:
    """The values of one event column in a batch, with their row numbers in the file."""

    values: pl.Series
    rows: pl.Series
    name: str

    def is_blank(self) -> pl.Series:
        """Where the value is missing: null, blank text or NaN."""
        if self.values.dtype == pl.String:
            return self.values.fill_null("").str.strip_chars() == ""
        if self.values.dtype.is_float():
            return self.values.is_null() | self.values.is_nan().fill_null(False)
        return self.values.is_null()


def parse_ids(column: Column) -> pl.Series:
    """Ids as text: `17850`, `17850.0` and 17850.0 are the same id, leading zeros stay, blanks are null."""
    values = column.values
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        if bool((whole.cast(values.dtype) == values).all()):
            values = whole
    texts = values.cast(pl.String)
    if column.values.dtype == pl.String:
        texts = texts.str.strip_chars()
        if texts.str.ends_with(".0").any():
            texts = texts.str.replace(r"^(\d+)\.0$", "${1}")
    blank = column.is_blank()
    return texts.set(blank, None) if blank.any() else texts


def parse_texts(column: Column) -> pl.Series:
    """Text without surrounding blanks; blanks are null."""
    texts = column.values.cast(pl.String)
    if column.values.dtype == pl.String:
        texts = texts.str.strip_chars()
    blank = column.is_blank()
    return texts.set(blank, None) if blank.any() else texts


def parse_numbers(column: Column, decimal: str) -> pl.Series:
    """Numbers as float64; text may group thousands in threes (`1,234.50`). NaN and infinity are null."""
    values = column.values
    if values.dtype == pl.String:
        values = _numbers_from_text(values.str.strip_chars(), decimal)
    elif values.dtype == pl.Boolean or values.dtype.is_temporal():
        return pl.Series(values.name, [None] * values.len(), dtype=pl.Float64)
    numbers = values.cast(pl.Float64, strict=False)
    finite = numbers.is_finite().fill_null(True)
    return numbers if finite.all() else numbers.set(~finite, None)


def _numbers_from_text(texts: pl.Series, decimal: str) -> pl.Series:
    grouped, separator = THOUSANDS[decimal]
    if texts.str.contains(separator, literal=True).any():
        is_grouped = texts.str.contains(grouped).fill_null(False)
        texts = texts.zip_with(~is_grouped, texts.str.replace_all(separator, "", literal=True))
    if decimal == ",":
        texts = texts.zip_with(
            ~texts.str.contains(".", literal=True).fill_null(False), pl.Series([None], dtype=pl.String)
        )
        texts = texts.str.replace(",", ".", literal=True)
    return texts.cast(pl.Float64, strict=False)


def parse_times(column: Column, date_format: str | None, timezone: str) -> pl.Series:
    """Instants in UTC. Times without a zone are local times of `timezone`; of an hour that occurs twice the first."""
    values = column.values
    if values.dtype == pl.String:
        values = _times_from_text(values.str.strip_chars(), date_format)
    elif date_format in EPOCHS and values.dtype.is_numeric():
        values = pl.from_epoch(values.cast(pl.Int64, strict=False), time_unit="s" if date_format == "epoch_s" else "ms")
    if not values.dtype.is_temporal():
        return pl.Series(values.name, [None] * values.len(), dtype=pl.Datetime("us", "UTC"))
    instants = values.cast(pl.Datetime("us")) if values.dtype == pl.Date else values
    zone = instants.dtype.time_zone if isinstance(instants.dtype, pl.Datetime) else None
    if zone is None:
        if date_format in EPOCHS or timezone == "UTC":
            instants = instants.dt.replace_time_zone("UTC")
        else:
            instants = _localised(instants, timezone)
    return instants.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))


def _localised(times: pl.Series, timezone: str) -> pl.Series:
    """Local times as instants; a time that the change to summer time skips is read an hour later."""
    zoned = times.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    later = times.dt.offset_by("1h").dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return zoned.zip_with(zoned.is_not_null(), later)


def _times_from_text(texts: pl.Series, date_format: str | None) -> pl.Series:
    if date_format in EPOCHS:
        return pl.from_epoch(texts.cast(pl.Int64, strict=False), time_unit="s" if date_format == "epoch_s" else "ms")
    if date_format is not None:
        has_time = any(code in date_format for code in ("%H", "%I", "%T", "%R", "%X", "%s", "%c"))
        if has_time:
            return texts.str.to_datetime(date_format, time_unit="us", strict=False)
        return texts.str.to_date(date_format, strict=False).cast(pl.Datetime("us"))
    present = texts.is_not_null() & (texts != "")
    for iso_format in ISO_FORMATS:
        times = texts.str.to_datetime(iso_format, time_unit="us", strict=False)
        if bool((times.is_not_null() | ~present).all()):
            return times
    dates = texts.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    times = texts.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    return times.zip_with(times.is_not_null(), dates)
