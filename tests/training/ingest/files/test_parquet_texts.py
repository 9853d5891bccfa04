"""Texts in Parquet that are no text are named by row, column and value."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.ingest.recipes import BASE, rows_of
from training.ingest.sources import Source


@pytest.mark.parametrize("is_declared_text", [True, False])
def test_text_that_is_not_utf8_is_named(tmp_path: Path, is_declared_text: bool) -> None:
    names = pa.array([b"ok", b"K\xe4se", None])
    if is_declared_text:
        names = pa.Array.from_buffers(pa.string(), 3, names.buffers())
    table = pa.table({"c": names, "t": ["2024-01-01"] * 3, "p": [1.0] * 3})
    pq.write_table(table, tmp_path / "lines.parquet")
    source = {"path": str(tmp_path / "lines.parquet"), "format": "parquet", "columns": BASE}
    message = r"lines.parquet, row 2: c is b'K\\xe4se', which is not UTF-8; write the file anew"
    with pytest.raises(ValueError, match=message):
        rows_of(Source.model_validate(source))
