"""What the last lines of the log say."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.training.ingest.recipes import log, recipe, run


@pytest.mark.parametrize("action", ["flag", "clip"])
def test_an_amount_that_outweighs_all_others_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    amount = 13_500_000
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i,{10 + n % 7}" for n in range(200)]
    source = log(tmp_path / "x.csv", *lines, f"c1,2024-02-01,i,{amount}")
    _, report = run(recipe(tmp_path / "data", source, outliers={"action": action}))
    assert report["outliers"]["revenue"] == amount
    assert "1 lines above the fence of " in caplog.text
    assert "come to 13500000.00, 100 % of all purchases; are they real?" in caplog.text


def test_a_few_large_amounts_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i,{10 + n % 7}" for n in range(200)]
    source = log(tmp_path / "x.csv", *lines, "c1,2024-02-01,i,300")
    _, report = run(recipe(tmp_path / "data", source))
    assert report["outliers"]["total"] == 1
    assert "above the fence" not in caplog.text


def test_zeros_that_stand_for_missing_amounts_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = log(tmp_path / "x.csv", "1,2024-01-01,i,5", "1,2024-01-02,i,", "2,2024-01-02,i,")
    _, report = run(recipe(tmp_path / "data", source, missing={"amount": "zero"}))
    assert report["amounts_as_zero"] == 2
    assert "2 purchases, renewals or refunds without an amount count as 0" in caplog.text


@pytest.mark.parametrize(("item", "is_told"), [("007", True), ("7", False)])
def test_an_item_table_that_does_not_hold_what_is_bought_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, item: str, is_told: bool
) -> None:
    (tmp_path / "items.csv").write_text("id,name\n7,lamp\n8,jar\n")
    table = {
        "path": str(tmp_path / "items.csv"),
        "format": "csv",
        "columns": {"item_id": "id", "title": "name"},
    }
    source = log(tmp_path / "x.csv", *(f"c{n},2024-01-01,{item},5" for n in range(9)))
    run(recipe(tmp_path / "data", source, items=table))
    told = "9 of 9 events are of 1 items that the item table does not hold"
    assert (told in caplog.text) is is_told


@pytest.mark.parametrize(("times", "is_told"), [(1, False), (3, True)])
def test_rows_that_a_file_has_several_times_are_told_with_their_money(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: int, is_told: bool
) -> None:
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i{n},{10 + n}" for n in range(40)]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *(lines * times))))
    assert report["duplicates"]["kept_equal"] == 40 * (times - 1)
    assert report["duplicates"]["kept_equal_revenue"] == sum(10 + n for n in range(40)) * (
        times - 1
    )
    told = "80 of 120 rows equal an earlier one in customer, time, kind, order, item and amount, and are kept; they"
    assert (f"{told} bring 2360.00 " in caplog.text) is is_told


def test_an_order_of_two_days_makes_nobody_come_again(tmp_path: Path) -> None:
    lines = [f"c{n},2024-01-{day:02},i,{10 + n},o{n}" for n in range(60) for day in (3, 5)]
    columns = {
        "customer_id": "c",
        "occurred_at": "t",
        "item_id": "i",
        "amount": "a",
        "order_id": "o",
    }
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["c,t,i,a,o", *lines]))
    _, report = run(recipe(tmp_path / "data", {"path": str(path), "columns": columns}))
    assert not report["models"]["bgnbd_gg"]["supported"]
    assert "0 of 60" in report["models"]["bgnbd_gg"]["reason"]


@pytest.mark.parametrize(("first_day_back", "is_told"), [(125, True), (85, False)])
def test_months_without_a_purchase_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first_day_back: int, is_told: bool
) -> None:
    """A purchase a day for sixty days, and again from some day on: 65 days are too long for chance, 25 are not."""
    days = [*range(60), *range(first_day_back, first_day_back + 60)]
    at = [date(2024, 1, 1) + timedelta(days=day) for day in days]
    source = log(tmp_path / "x.csv", *(f"c{n % 9},{day},i,{10 + n}" for n, day in enumerate(at)))
    _, report = run(recipe(tmp_path / "data", source))
    told = "nobody bought from 2024-03-01 to 2024-05-04, 65 days, but before and after"
    assert (told in caplog.text) is is_told
    assert [gap["days"] for gap in report["gaps"]] == [65] * is_told
