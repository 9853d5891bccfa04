"""Columns of raw values, and instants, for tests of parsing."""

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from training.ingest.tables.parsing import (
    RawColumn,
)


def column(values: Sequence[object], dtype: pl.DataType | None = None) -> RawColumn:
    series = pl.Series("x", values, dtype=dtype, strict=False)
    return RawColumn(series, pl.Series("row", range(1, len(values) + 1)), "x")


def instant(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]
