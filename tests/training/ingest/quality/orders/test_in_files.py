"""Orders that stand in several files: sums beside lines, corrections without ids."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import LOG, log, recipe, run

COLUMNS = {name: value for name, value in LOG.items() if name != "item_id"} | {"order_id": "i"}
SEVERAL = "orders have the same purchases in several files"


def test_sums_of_orders_beside_their_lines_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    days = [(number, f"2024-01-{1 + number % 28:02}") for number in range(30)]
    sums = [f"c{number % 7},{day},O{number},{10 + number}" for number, day in days]
    first = [f"c{number % 7},{day},O{number},{4 + number}" for number, day in days]
    second = [f"c{number % 7},{day} 10:00,O{number},6" for number, day in days]
    orders = log(tmp_path / "orders.csv", *sums, columns=COLUMNS)
    lines = log(tmp_path / "lines.csv", *first, *second, columns=COLUMNS)
    _, report = run(recipe(tmp_path / "data", orders, lines))
    told = report["orders_of_files"]
    assert (told["orders"], told["of"], told["of_same_money"]) == (30, 30, 30)
    assert told["files"] == [str(tmp_path / "orders.csv"), str(tmp_path / "lines.csv")]
    assert f"30 of 30 {SEVERAL}" in caplog.text and "30 of them come to the same" in caplog.text


def test_corrections_without_an_event_id_are_told_and_with_one_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    log(folder / "1.csv", *(f"c{number},2024-01-01,O{number},10" for number in range(30)))
    log(
        folder / "2.csv",
        *(f"c{number},2024-01-01,O{number},12" for number in range(5)),
        *(f"c{number},2024-01-02,P{number},10" for number in range(20)),
    )
    source = {"path": str(folder), "columns": COLUMNS}
    _, report = run(recipe(tmp_path / "data", source))
    told = report["orders_of_files"]
    assert (told["orders"], told["of"], told["of_same_money"]) == (5, 50, 0)
    assert f"5 of 50 {SEVERAL}, such as 'O" in caplog.text
    caplog.clear()
    corrected = source | {"columns": COLUMNS | {"event_id": "i"}}
    _, report = run(recipe(tmp_path / "corrected", corrected, on_repeated_id="latest"))
    assert report["orders_of_files"]["orders"] == 0
    assert SEVERAL not in caplog.text


def test_one_order_number_of_two_customers_and_one_file_of_two_sources_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    goods = log(tmp_path / "x.csv", "1,2024-01-01,O1,10", "2,2024-01-02,O2,11", columns=COLUMNS)
    postage = goods | {"columns": COLUMNS | {"amount": 5, "item_id": {"sql": "'POST'"}}}
    other = log(tmp_path / "y.csv", "8,2024-01-01,O1,10", "9,2024-01-02,O2,12", columns=COLUMNS)
    _, report = run(recipe(tmp_path / "data", goods, postage, other))
    assert report["orders_of_files"]["orders"] == 0
    assert SEVERAL not in caplog.text


def test_lines_that_files_share_out_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    lines = [(order, line) for order in range(30) for line in range(4)]
    for part in range(2):
        rows = [
            f"c{order},2024-01-01,O{order:02}-{line},{5 + line}"
            for order, line in lines
            if line % 2 == part
        ]
        log(folder / f"{part}.csv", *rows)
    columns = LOG | {"order_id": {"sql": "SUBSTR(i, 1, 3)"}}
    _, report = run(recipe(tmp_path / "data", {"path": str(folder), "columns": columns}))
    assert report["orders_of_files"]["of"] == 30
    assert report["orders_of_files"]["orders"] == 0
    assert SEVERAL not in caplog.text


@pytest.mark.parametrize(
    ("change", "is_told"),
    [("payments", True), ("others", False), ("one price", False)],
)
def test_payments_of_the_orders_of_another_source_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str, is_told: bool
) -> None:
    amounts = [5.0 if change == "one price" else 10 + number for number in range(40)]
    orders = [f"c{n % 7},2024-01-{1 + n % 25:02},O{n},{amount}" for n, amount in enumerate(amounts)]
    extra = 100 if change == "others" else 0
    payments = [
        f"c{n % 7},2024-01-{2 + n % 25:02},P{n},{amount + extra}"
        for n, amount in enumerate(amounts)
    ]
    first = log(tmp_path / "orders.csv", *orders, columns=COLUMNS)
    second = log(tmp_path / "payments.csv", *payments, columns=COLUMNS)
    _, report = run(recipe(tmp_path / "data", first, second))
    found = report["orders_of_sources"][str(tmp_path / "payments.csv")]
    assert found == {"rows": 40, "matched": 40 if is_told else 0}
    assert ("for 40 of 40 orders of" in caplog.text) == is_told
