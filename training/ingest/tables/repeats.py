"""Rows that several files of one source share, as where an export was made again or its months overlap."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

MAX_SHARED = 0.5  # of the rows of a file


@dataclass
class EarlierRows:
    """Hashes of the rows of all files before the present one.

    They lie in sorted runs, each at most half as long as the one before it, so that a thousand
    files cost little more than one of as many rows.
    """

    runs: list[np.ndarray] = field(default_factory=list)
    present: list[np.ndarray] = field(default_factory=list)
    num_shared: int = 0  # rows of the present file that an earlier one has

    def are_shared(self, rows: pl.DataFrame) -> np.ndarray:
        """Which of the next rows (n,) of the present file an earlier file has."""
        hashes = rows.hash_rows().to_numpy()
        is_shared = np.zeros(hashes.size, dtype=bool)
        for run in self.runs:
            places = np.searchsorted(run, hashes)
            is_shared |= run[np.minimum(places, run.size - 1)] == hashes
        self.present.append(hashes)
        self.num_shared += int(is_shared.sum())
        return is_shared

    def end_file(self, file: Path, *, may_share: bool) -> None:
        """Take the present file among the earlier ones; ValueError where they share more than half of its rows."""
        num_rows = sum(hashes.size for hashes in self.present)
        if not may_share and self.num_shared > MAX_SHARED * num_rows:
            raise ValueError(
                f"{file}: {self.num_shared} of its {num_rows} rows are in earlier files of this source, too; "
                "say duplicates: drop to count them once, or keep where they are different events"
            )
        if num_rows:
            self.runs.append(np.unique(np.concatenate(self.present)))
        while len(self.runs) > 1 and 2 * self.runs[-1].size > self.runs[-2].size:
            last = self.runs.pop()
            self.runs[-1] = np.union1d(self.runs[-1], last)
        self.present = []
        self.num_shared = 0
