"""Raw column values to ids, numbers and texts; a value that does not parse becomes null for the caller."""

from dataclasses import dataclass

import polars as pl

ROUNDED = r"^\s*-?\d([.,]\d+)?[Ee]\+\d{2,3}\s*$"  # such as 1.23457E+12
EXCEL_DIGITS = 15  # of a number, behind which Excel writes zeros
ROUNDED_BY_EXCEL = rf"^[1-9]\d{{{EXCEL_DIGITS - 1}}}0+$"
LONG_NUMBER = rf"^\d{{{EXCEL_DIGITS + 1},}}$"
MIN_LONG_NUMBERS = 10  # of which all ending in 0 is no chance
# Up to these a float holds every integer.
EXACT_INTEGERS: dict[pl.DataType, int] = {
    pl.Float16(): 2**11,
    pl.Float32(): 2**24,
    pl.Float64(): 2**53,
}
MAX_FRACTION_ID = 1e5  # a float id above it that has a fraction is two numbers with a point, of which digits are lost
THOUSANDS = {
    ".": (r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$", ","),
    ",": (r"^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?$", "."),
}


@dataclass(frozen=True)
class RawColumn:
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


def parse_ids(column: RawColumn, decimal: str) -> pl.Series:
    """Ids as text: `17850`, `17850.0` and 17850.0 are the same id, leading zeros stay, blanks are null."""
    values = column.values
    texts = values.cast(pl.String)
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(values.dtype) == values).fill_null(False)
        texts = whole.cast(pl.String).zip_with(is_whole, texts)
    elif values.dtype == pl.String:
        texts = texts.str.strip_chars()
        if texts.str.contains("[.,]0").any():
            texts = texts.str.replace(rf"^(-?\d+)(?:[{decimal}]0+|\.0)$", "${1}")
    elif values.dtype.is_decimal():
        texts = texts.str.replace(r"\.0+$", "")
    return _without_blanks(texts, column)


def with_lost_digits(column: RawColumn) -> pl.Series:
    """Which ids cannot be whole: floats beyond the integers that they hold, and what Excel makes of long numbers."""
    values = column.values
    if values.dtype.is_float():
        values = values.fill_nan(None)
        most = EXACT_INTEGERS[values.dtype]
        is_cut = (values.abs() > MAX_FRACTION_ID) & (values != values.round())
        return ((values.abs() > most) | is_cut).fill_null(False)
    if values.dtype == pl.String:
        return values.str.contains(ROUNDED).fill_null(False)
    return pl.Series([False]).new_from_index(0, values.len())


def are_rounded_by_excel(column: RawColumn) -> bool:
    """Whether all numbers of more than 15 digits among ids have zeros behind the 15th, as Excel makes them."""
    values = column.values
    if values.dtype != pl.String or not (values.str.len_bytes() > EXCEL_DIGITS).any():
        return False
    long = values.filter(values.str.contains(LONG_NUMBER)).unique()
    return long.len() >= MIN_LONG_NUMBERS and bool(long.str.contains(ROUNDED_BY_EXCEL).all())


def parse_texts(column: RawColumn) -> pl.Series:
    """Text without surrounding blanks; blanks are null."""
    texts = column.values.cast(pl.String)
    if column.values.dtype == pl.String:
        texts = texts.str.strip_chars()
    return _without_blanks(texts, column)


def _without_blanks(texts: pl.Series, column: RawColumn) -> pl.Series:
    blank = column.is_blank()
    return texts.set(blank, None) if blank.any() else texts


def parse_numbers(column: RawColumn, decimal: str) -> pl.Series:
    """Numbers as float64; text may group thousands in threes (`1,234.50`). NaN and infinity are null."""
    values = column.values
    if values.dtype == pl.String:
        values = _numbers_from_text(values.str.strip_chars(), decimal)
    elif not values.dtype.is_numeric():
        return pl.Series(values.name, [None], dtype=pl.Float64).new_from_index(0, values.len())
    if values.dtype == pl.Float32:
        values = values.cast(pl.String)  # its shortest decimal: 19.99, not 19.989999771
    numbers = values.cast(pl.Float64, strict=False)
    finite = numbers.is_finite().fill_null(True)
    return numbers if finite.all() else numbers.set(~finite, None)


def _numbers_from_text(texts: pl.Series, decimal: str) -> pl.Series:
    grouped, separator = THOUSANDS[decimal]
    if texts.str.contains(separator, literal=True).any():
        is_grouped = texts.str.contains(grouped).fill_null(False)
        texts = texts.zip_with(~is_grouped, texts.str.replace_all(separator, "", literal=True))
    if decimal == ",":
        has_point = texts.str.contains(".", literal=True).fill_null(False)
        texts = texts.set(has_point, None).str.replace(",", ".", literal=True)
    return texts.cast(pl.Float64, strict=False)
