"""What amounts of several sources tell of their units."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import log, recipe, run


@pytest.mark.parametrize(
    ("factor", "is_told"), [(100, True), (1, False), (7, False), (1000, False)]
)
def test_source_in_cents_beside_one_in_units_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, factor: int, is_told: bool
) -> None:
    days = [f"2024-01-{1 + number % 28:02}" for number in range(60)]
    shop = [f"c{n % 9},{day},i,{10.5 + n % 7}" for n, day in enumerate(days)]
    web = [f"c{n % 9},{day} 10:00,i,{factor * (10.5 + n % 7)}" for n, day in enumerate(days)]
    run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *shop), log(tmp_path / "y.csv", *web)))
    assert ("if one counts in cents" in caplog.text) == is_told


def test_file_in_cents_beside_others_of_its_folder_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in").mkdir()
    for month, factor in ((1, 1), (2, 100), (3, 1)):
        rows = [
            f"c{n % 9},2024-{month:02}-{1 + n % 28:02},i,{factor * (10.5 + n % 7)}"
            for n in range(60)
        ]
        source = log(tmp_path / "in" / f"{month}.csv", *rows)
    run(recipe(tmp_path / "data", source | {"path": str(tmp_path / "in")}))
    assert "2.csv are 100 times those of" in caplog.text
