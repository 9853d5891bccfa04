"""What the last lines of the log say."""

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
