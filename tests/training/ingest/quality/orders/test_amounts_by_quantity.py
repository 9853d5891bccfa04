"""Amounts that are prices of one piece, or in which the quantity stands twice."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import LOG, log, recipe, run

PIECE = "is amount the price of one piece?"
TWICE = "is the quantity taken twice?"


def lines(power: int, price_of: int = 7) -> list[str]:
    """150 lines of items that cost 2.5 to 8.5 a piece; the quantity stands where LOG has none, behind the item."""
    rows = []
    for number in range(150):
        quantity, price = 1 + number % 4, 2.5 + number % price_of
        day = f"2024-{1 + number // 28:02}-{1 + number % 28:02}"
        amount = price * quantity**power
        rows.append(f"c{number % 9},{day},{number % price_of}x{quantity},{amount}")
    return rows


@pytest.mark.parametrize(("power", "told"), [(0, PIECE), (1, None), (2, TWICE)])
def test_only_amounts_that_grow_as_their_quantity_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, power: int, told: str | None
) -> None:
    columns = LOG | {"item_id": {"sql": "SUBSTR(i, 1, 1)"}, "quantity": {"sql": "SUBSTR(i, 3)"}}
    run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *lines(power), columns=columns)))
    assert [text for text in (PIECE, TWICE) if text in caplog.text] == [told] * bool(told)


def test_amounts_by_chance_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns = LOG | {"item_id": {"sql": "SUBSTR(i, 1, 1)"}, "quantity": {"sql": "SUBSTR(i, 3)"}}
    rows = [f"{line.rpartition(',')[0]},{1 + n * 37 % 61}" for n, line in enumerate(lines(1))]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *rows, columns=columns)))
    assert report["amounts_by_quantity"]["lines"] == 150
    assert PIECE not in caplog.text and TWICE not in caplog.text
