"""Fixtures of ingest."""

from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import BASE, Read, rows_of
from training.ingest.sources import Source


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Parsed rows of a source whose file has the given content."""

    def read_file(content: str | bytes, **changes: object) -> pl.DataFrame:
        path = tmp_path / "lines.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return rows_of(Source.model_validate({"path": str(path), "columns": BASE, **changes}))

    return read_file
