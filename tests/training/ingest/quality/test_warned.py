"""What the log warns of stands in quality.json and on its page."""

import logging
from pathlib import Path

import pytest

from tests.training.ingest.recipes import log, recipe, run
from training.ingest.quality.warned import kept_warnings


def test_quality_json_holds_every_line_that_the_log_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i{n},{1 + n % 7}.{n:03}" for n in range(100, 160)]
    source = log(tmp_path / "x.csv", *lines, *lines)
    _, report = run(recipe(tmp_path / "data", source, quality_html=True))
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert report["warnings"] == said
    assert any("read as 3." in line for line in said)  # a guess of the reading
    assert any("60 of 120 rows equal an earlier one" in line for line in said)  # found in the whole
    page = (tmp_path / "data" / "quality.html").read_text()
    assert page.count("have three digits behind it") == 1


def test_data_without_a_flaw_have_no_warnings(tmp_path: Path) -> None:
    lines = [f"c{n % 9},2024-01-{1 + n % 28:02},i{n},{1 + n % 7}.{n:02}" for n in range(10, 70)]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *lines)))
    assert report["warnings"] == []


def test_an_error_ends_the_keeping() -> None:
    before = list(logging.getLogger("training.ingest").handlers)
    with pytest.raises(ValueError, match="broken"), kept_warnings():
        raise ValueError("broken")
    assert logging.getLogger("training.ingest").handlers == before
