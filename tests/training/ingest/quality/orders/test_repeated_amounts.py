"""Orders whose total stands on each of their lines."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import LOG, log, recipe, run

COLUMNS = LOG | {"order_id": {"sql": "SUBSTR(i, 1, 3)"}}  # of items such as `012-b`
TOLD = "all lines have the same amount"


def lines(amount: list[float], items: str = "ab") -> list[str]:
    """Two lines for each order, on a day of its own."""
    days = [f"2024-{1 + number // 28:02}-{1 + number % 28:02}" for number in range(len(amount))]
    return [
        f"c{number % 9},{day},{number:03}-{item},{amount[number]}"
        for number, day in enumerate(days)
        for item in items
    ]


def test_total_on_each_line_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    totals = [10 + 1.5 * number for number in range(60)]
    source = log(tmp_path / "x.csv", *lines(totals), columns=COLUMNS)
    events, report = run(recipe(tmp_path / "data", source))
    assert events["amount"].sum() == pytest.approx(2 * sum(totals))
    told = report["repeated_amounts"]
    assert (told["orders"], told["of"], told["amounts"]) == (60, 60, 60)
    assert f"in 60 of 60 orders of several lines {TOLD}, such as" in caplog.text


@pytest.mark.parametrize(
    ("amounts", "items"),
    [
        ([9.99] * 60, "ab"),  # a shop of one price
        ([10 + 1.5 * number for number in range(60)], "aa"),  # two lines of one item
        ([10 + 1.5 * number for number in range(10)], "ab"),  # too few to tell
    ],
)
def test_equal_prices_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, amounts: list[float], items: str
) -> None:
    source = log(tmp_path / "x.csv", *lines(amounts, items), columns=COLUMNS)
    run(recipe(tmp_path / "data", source))
    assert TOLD not in caplog.text


def test_lines_of_different_amounts_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    same = lines([10 + 1.5 * number for number in range(40)])
    other = [line.replace("-a,", "-a,7") for line in lines([5.0] * 60, "ab")[20 * 4 :]]
    _, report = run(
        recipe(tmp_path / "data", log(tmp_path / "x.csv", *same, *other, columns=COLUMNS))
    )
    assert report["repeated_amounts"]["of"] > 40
    assert TOLD not in caplog.text


@pytest.mark.parametrize("name", ["discount", "cost"])
@pytest.mark.parametrize("is_of_order", [True, False])
def test_discount_or_cost_of_the_order_on_each_line_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, is_of_order: bool
) -> None:
    rows = lines([10 + 1.5 * number for number in range(60)])
    amounts = [row.replace("-b,", "-b,9") for row in rows]  # of the second line another
    value = "a" if not is_of_order else {"sql": "2 + CAST(SUBSTR(i, 1, 3) AS DOUBLE)"}
    source = log(tmp_path / "x.csv", *amounts, columns=COLUMNS | {name: value})
    _, report = run(recipe(tmp_path / "data", source))
    assert (report["repeated_values"][name]["orders"] == 60) == is_of_order
    assert (f"several lines with a {name} all have the same" in caplog.text) == is_of_order


@pytest.mark.parametrize(("extra", "is_told"), [(0.0, True), (0.5, False)])
def test_rows_of_totals_behind_the_lines_of_an_order_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, extra: float, is_told: bool
) -> None:
    first = lines([10 + 1.5 * number for number in range(30)], "a")
    second = lines([7.25] * 30, "b")
    totals = lines([17.25 + 1.5 * number + extra for number in range(30)], "t")
    source = log(tmp_path / "x.csv", *first, *second, *totals, columns=COLUMNS)
    _, report = run(recipe(tmp_path / "data", source))
    assert report["with_sums"]["orders"] == {"rows": 30, "matched": 30 * is_told}
    assert ("30 of 30 orders of three lines or more have one" in caplog.text) == is_told


@pytest.mark.parametrize("is_at_once", [True, False])
def test_lines_that_are_orders_of_their_own_at_one_time_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_at_once: bool
) -> None:
    rows = lines([10 + 1.5 * number for number in range(60)], "ab" if is_at_once else "a")
    source = log(tmp_path / "x.csv", *rows, columns=COLUMNS | {"order_id": "i"})
    _, report = run(recipe(tmp_path / "data", source))
    count = 120 if is_at_once else 0
    assert report["at_one_time"] == {"rows": 120 if is_at_once else 60, "matched": count}
    assert ("is it the number of a line?" in caplog.text) == is_at_once
