"""Ids that may be one customer's, sources that share no customer, and order ids that are no order's."""

from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import LOG, log, recipe, run
from training.ingest.quality.alike_ids import form_hashes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bob@x.com", "bob@x.com"),
        ("00042", "42"),
        ("caf\u00e9", "cafe\u0301"),
        ("A1", "A1\u200b"),
        ("A 1", "A\u00a01"),
        ("A1", "A\u00001"),
        ("00042", '="00042"'),
        ("00042", "'00042"),
        ("17850", "17,850"),
    ],
)
def test_forms_of_one_id(one: str, other: str) -> None:
    same = form_hashes(pl.Series([one, other]))
    assert same[0] == same[1]


@pytest.mark.parametrize(("one", "other"), [("a1", "a2"), ("0", "00x"), ("100", "1"), ("0", "")])
def test_other_ids_are_others(one: str, other: str) -> None:
    first, second = (form_hashes(pl.Series([name]))[0] for name in (one, other))
    assert first != second


def test_zeros_lost_in_one_file_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    days = range(1, 29)
    lines = [f"{number:05},2024-01-{number:02},i,5" for number in days]
    lost = [f"{number},2024-02-{number:02},i,5" for number in days]
    _, report = run(
        recipe(tmp_path / "data", log(tmp_path / "x.csv", *lines), log(tmp_path / "y.csv", *lost))
    )
    assert report["alike_ids"]["ids"] == 56
    one, other = report["alike_ids"]["example"]
    assert int(one) == int(other) and one != other
    assert "56 ids differ from others only in" in caplog.text


def test_source_of_strangers_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bought = log(tmp_path / "x.csv", *(f"c{number},2024-01-05,i,5" for number in range(20)))
    seen = log(
        tmp_path / "y.csv", *(f"X{number},2024-01-06,i," for number in range(12)), kind="view"
    )
    _, report = run(recipe(tmp_path / "data", bought, seen))
    assert report["customers_of_sources"] == {
        str(tmp_path / "y.csv"): {"customers": 12, "buyers": 0},
    }
    assert "none of the 12 customers of" in caplog.text


def test_order_id_that_holds_everything_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"c{number},2024-{month:02}-05,0,5" for number in range(20) for month in range(1, 11)]
    source = log(tmp_path / "x.csv", *lines, columns=LOG | {"order_id": "i"})
    _, report = run(recipe(tmp_path / "data", source))
    assert report["long_orders"] == {"orders": 20, "of": 20, "example": "0"}
    assert "20 of 20 orders have purchases more than 60 days apart, such as '0'" in caplog.text
