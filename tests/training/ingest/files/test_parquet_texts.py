"""Texts in Parquet that are no text are named by row, column and value."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.ingest.recipes import BASE, recipe, rows_of, run
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


def test_bytes_that_only_tell_rows_apart_need_be_no_text(tmp_path: Path) -> None:
    numbers = [b"\xff\xfe\x01", b"\xff\xfe\x02", b"\xff\xfe\x01"]
    table = pa.table({"c": ["9"] * 3, "t": ["2024-01-01"] * 3, "p": [5.0] * 3, "row": numbers})
    pq.write_table(table, tmp_path / "lines.parquet")
    source = {"path": str(tmp_path / "lines.parquet"), "format": "parquet", "columns": BASE}
    config = recipe(tmp_path / "data", source | {"drop_exact_duplicates": True})
    events, report = run(config)
    assert events["amount"].to_list() == [5.0, 5.0]
    assert report["rows_dropped"] == {"exact_duplicate": 1}
