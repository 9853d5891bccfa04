"""Raw values to ids, numbers, texts and instants."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.ingest.tables.columns import column, instant
from training.ingest.tables.parsing import (
    are_rounded_by_excel,
    parse_ids,
    parse_numbers,
    parse_texts,
    with_lost_digits,
)
from training.ingest.tables.times import parse_times


def test_ids_read_as_floats_are_the_ids() -> None:
    texts = column([" 17850 ", "17850.0", "00042", "10.10", "A-1.0", "", None])
    assert parse_ids(texts, ".").to_list() == [
        "17850",
        "17850",
        "00042",
        "10.10",
        "A-1.0",
        None,
        None,
    ]
    assert parse_ids(column([17850.0, None, float("nan")]), ".").to_list() == ["17850", None, None]


def test_ids_read_as_floats_with_either_decimal_sign() -> None:
    assert parse_ids(column(["17850.00", "7.0", "1.50", "1,00"]), ".").to_list() == [
        "17850",
        "7",
        "1.50",
        "1,00",
    ]
    assert parse_ids(column(["17850,0", "7,00", "1,50", "1.000"]), ",").to_list() == [
        "17850",
        "7",
        "1,50",
        "1.000",
    ]


def test_ids_of_floats_do_not_depend_on_the_other_ids() -> None:
    assert parse_ids(column([17850.0, 1.5, 1e20]), ".").to_list()[:2] == ["17850", "1.5"]
    assert parse_ids(column([1e20]), ".")[0] is not None


def test_big_whole_numbers_keep_every_digit() -> None:
    assert parse_ids(column([2**63 + 1], pl.UInt64()), ".").to_list() == ["9223372036854775809"]
    assert parse_ids(column([2**53 + 1, -7]), ".").to_list() == ["9007199254740993", "-7"]
    assert parse_ids(column([Decimal("17850.00")]), ".").to_list() == ["17850"]


def test_texts_are_stripped_and_blank_ones_missing() -> None:
    assert parse_texts(column(["  LUNCH BOX ", " ", None])).to_list() == ["LUNCH BOX", None, None]
    assert parse_texts(column([1, None])).to_list() == ["1", None]


@pytest.mark.parametrize(
    ("decimal", "text", "number"),
    [
        (".", "1,234,567.50", 1234567.5),
        (".", " -2.5 ", -2.5),
        (".", "1,234", 1234.0),
        (".", "1,5", None),
        (".", "12,34.5", None),
        (".", "inf", None),
        (".", "5 EUR", None),
        (",", "1.234.567,50", 1234567.5),
        (",", "1.234", 1234.0),
        (",", "2,5", 2.5),
        (",", "2.5", None),
        (",", "1,234.50", None),
    ],
)
def test_number_of_a_text(decimal: str, text: str, number: float | None) -> None:
    assert parse_numbers(column([text, None]), decimal).to_list() == [number, None]


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.sampled_from(".,"))
def test_formatted_number_parses_to_itself(number: float, decimal: str) -> None:
    text = f"{number:,.6f}"
    if decimal == ",":
        text = text.translate(str.maketrans(".,", ",."))
    assert parse_numbers(column([text]), decimal).item() == pytest.approx(number, abs=1e-6)


def test_values_that_are_no_numbers_are_null() -> None:
    assert parse_numbers(column([True, False]), ".").to_list() == [None, None]
    assert parse_numbers(column([date(2024, 1, 1)]), ".").to_list() == [None]
    assert parse_numbers(column([float("inf"), 1.0]), ".").to_list() == [None, 1.0]


def test_day_first_and_month_first() -> None:
    text = ["1/12/2010 8:26"]
    assert parse_times(column(text), "%d/%m/%Y %H:%M", "UTC").to_list() == [
        instant(2010, 12, 1, 8, 26)
    ]
    assert parse_times(column(text), "%m/%d/%Y %H:%M", "UTC").to_list() == [
        instant(2010, 1, 12, 8, 26)
    ]
    assert parse_times(column(["13/13/2010 8:26"]), "%d/%m/%Y %H:%M", "UTC").to_list() == [None]


def test_iso_times_of_every_form_in_one_column() -> None:
    texts = [
        "2024-03-01",
        "2024-03-01T10:00:00Z",
        "2024-03-01 10:00:00.25",
        "2024-03-01T10:00:00+02:00",
        "2024-03-01 10:00",
        "2024-03-01T10:00",
        "2024-03-01T10:00:00",
        "2024-03-01T10:00+0100",
        None,
        " ",
        "1 March 2024",
    ]
    expected = [
        instant(2024, 3, 1),
        instant(2024, 3, 1, 10),
        instant(2024, 3, 1, 10, 0, 0, 250_000),
        instant(2024, 3, 1, 8),
        instant(2024, 3, 1, 10),
        instant(2024, 3, 1, 10),
        instant(2024, 3, 1, 10),
        instant(2024, 3, 1, 9),
        None,
        None,
        None,
    ]
    assert parse_times(column(texts), None, "UTC").to_list() == expected
    for text, value in zip(texts, expected, strict=True):  # the others in the column do not matter
        assert parse_times(column([text], pl.String()), None, "UTC").to_list() == [value]


def test_numbers_since_1970() -> None:
    assert parse_times(
        column(["1709287200", "1709287200.5"]), "epoch_s", "Europe/Berlin"
    ).to_list() == [instant(2024, 3, 1, 10), instant(2024, 3, 1, 10, 0, 0, 500_000)]
    assert parse_times(column([1709287200123]), "epoch_ms", "UTC").item() == instant(
        2024, 3, 1, 10, 0, 0, 123_000
    )


def test_whole_numbers_as_dates_need_a_format() -> None:
    assert parse_times(column([20240301]), "%Y%m%d", "UTC").item() == instant(2024, 3, 1)
    assert parse_times(column([20240301]), None, "UTC").to_list() == [None]
    assert parse_times(column([True]), None, "UTC").to_list() == [None]


@pytest.mark.parametrize(
    ("value", "date_format"),
    [
        ("2999-01-01", None),
        ("1899-12-31T23:59:59Z", None),
        ("01.01.2200", "%d.%m.%Y"),
        (1_700_000_000_000, "epoch_s"),
        (1e300, "epoch_ms"),
        (-1e18, "epoch_s"),
    ],
)
def test_dates_far_from_any_shop_are_no_dates(value: object, date_format: str | None) -> None:
    assert parse_times(column([value]), date_format, "UTC").to_list() == [None]


def test_first_and_last_year_are_dates() -> None:
    times = parse_times(column(["1900-01-01", "2199-12-31T23:59:59Z"]), None, "UTC")
    assert times.to_list() == [instant(1900, 1, 1), instant(2199, 12, 31, 23, 59, 59)]


def test_a_group_of_thousands_does_not_begin_with_zero() -> None:
    assert parse_numbers(column(["1,250", "0,500", "0,906"]), ".").to_list() == [1250.0, None, None]
    assert parse_numbers(column(["1.250", "0.500"]), ",").to_list() == [1250.0, None]


def test_ids_that_went_through_floats_where_the_decimal_sign_is_a_comma() -> None:
    ids = column(["17850", "17850.0", "17850,0", "1.50", "1.000"])
    assert parse_ids(ids, ",").to_list() == ["17850", "17850", "17850", "1.50", "1.000"]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (
            ["1.23457E+12", "1,23457E+12", "1E+12", "12", "E+12", "5E2"],
            None,
            [True] * 3 + [False] * 3,
        ),
        (["1.23457e+12", "1.5E+012", "-1.5e+12", "1e5"], None, [True] * 3 + [False]),
        ([1234567890123456789.0, 17850.0], pl.Float64(), [True, False]),
        ([float("nan"), None, 1234567890.17, 1.5], pl.Float64(), [False, False, True, False]),
        ([16777218.0, 17850.0], pl.Float32(), [True, False]),
        ([17856.0, 2048.0], pl.Float16(), [True, False]),  # 17850 to 17863 are all 17856
        ([1234567890123456789, 1], pl.Int64(), [False, False]),
    ],
)
def test_ids_that_lost_digits(
    values: list[object], dtype: pl.DataType | None, expected: list[bool]
) -> None:
    assert with_lost_digits(column(values, dtype)).to_list() == expected


def test_long_numbers_that_all_end_in_zeros_were_rounded_by_excel() -> None:
    rounded = [f"1234567890{number:05}00" for number in range(10)]
    assert are_rounded_by_excel(column([*rounded, "17850", "A-1234567890123456"]))
    assert not are_rounded_by_excel(column(rounded[:9]))
    assert not are_rounded_by_excel(column([*rounded, "12345678901234567"]))
    assert not are_rounded_by_excel(column([17850, 17851]))
