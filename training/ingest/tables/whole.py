"""Tables that are read at once, beside the sources: items, customers, rates."""

from collections import Counter
from dataclasses import dataclass

import polars as pl

from training.ingest.sources import Table
from training.ingest.tables.batches import read_batches
from training.ingest.tables.currencies.unmapped import FoundCodes


@dataclass(frozen=True)
class WholeTable:
    """The rows that filters keep, with `ROW`, and how many there were."""

    rows: pl.DataFrame
    num_read: int
    left_out: Counter[str]  # by reason
    currency_codes: list[FoundCodes]  # in columns that the recipe does not map


def read_whole(table: Table) -> WholeTable:
    """All rows of a table; errors are those of `read_batches`."""
    parts = []
    num_read = 0
    left_out: Counter[str] = Counter()
    codes: list[FoundCodes] = []
    for batch in read_batches(table):
        parts.append(batch.rows)
        num_read += batch.num_read
        codes += batch.currency_codes
        for reason, others in batch.left_out.items():
            left_out[reason] += others.height
    return WholeTable(pl.concat(parts), num_read, left_out, codes)
