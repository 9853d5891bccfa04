"""Parquet files that polars cannot read: which value is no text."""

from pathlib import Path

import pyarrow as pa

TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)


def text_problem(file: Path) -> str | None:
    """The first row with a text that is not UTF-8, as it follows the file's name; None where there is none.

    pyarrow reads such texts, which polars refuses to.
    """
    import pyarrow.parquet as pq  # with all its file systems; every ingest would wait for it

    parquet = pq.ParquetFile(file)
    names = [
        field.name for field in parquet.schema_arrow if any(holds(field.type) for holds in TEXTS)
    ]
    first_row = 1
    for batch in parquet.iter_batches(columns=names):
        for name in names:
            values = batch.column(name).cast(pa.large_binary()).to_pylist()
            for row, value in enumerate(values, start=first_row):
                if value is not None and not _is_utf8(value):
                    told = f"{name} is {value[:40]!r}, which is not UTF-8"
                    return f", row {row}: {told}; write the file anew from text"
        first_row += batch.num_rows
    return None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
