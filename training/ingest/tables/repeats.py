"""Rows that several files of one source share, as where an export was made again or its months overlap."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

logger = logging.getLogger(__name__)
MAX_SHARED = 0.5  # of the rows of a file
REMEDY = "say duplicates: drop to count them once, or keep where they are different events"


@dataclass
class EarlierRows:
    """Hashes of the rows of all files before the present one, each with the number of its file.

    They lie in sorted runs, each at most half as long as the one before it, so that a thousand
    files cost little more than one of as many rows.
    """

    files: list[tuple[Path, int]] = field(default_factory=list)  # with their numbers of rows
    runs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # hashes, file numbers
    present: list[np.ndarray] = field(default_factory=list)
    num_shared: int = 0  # rows of the present file that some earlier one has
    # Rows of the present file by the number of the earlier one.
    shared_with: Counter[int] = field(default_factory=Counter)

    def are_shared(self, rows: pl.DataFrame) -> np.ndarray:
        """Which of the next rows (n,) of the present file an earlier file has."""
        hashes = rows.hash_rows().to_numpy()
        is_shared = np.zeros(hashes.size, dtype=bool)
        for run, files in self.runs:
            places = np.minimum(np.searchsorted(run, hashes), run.size - 1)
            is_here = run[places] == hashes
            is_shared |= is_here
            numbers, counts = np.unique(files[places[is_here]], return_counts=True)
            self.shared_with.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        self.present.append(hashes)
        self.num_shared += int(is_shared.sum())
        return is_shared

    def end_file(self, file: Path, *, may_share: bool) -> None:
        """Take the present file among the earlier ones.

        ValueError where it has more than half of its rows in common with all of them, or more than
        half of the rows of one of them.
        """
        num_rows = sum(hashes.size for hashes in self.present)
        if self.num_shared and not may_share:
            self._check(file, num_rows)
            message = "%s: %d of its %d rows are in earlier files, too; they count twice"
            logger.warning(message, file, self.num_shared, num_rows)
        if num_rows:
            hashes = np.unique(np.concatenate(self.present))
            self.runs.append((hashes, np.full(hashes.size, len(self.files), dtype=np.uint32)))
        self.files.append((file, num_rows))
        self.present = []
        self.shared_with = Counter()
        self.num_shared = 0
        while len(self.runs) > 1 and 2 * self.runs[-1][0].size > self.runs[-2][0].size:
            self._merge_last()

    def _check(self, file: Path, num_rows: int) -> None:
        if self.num_shared > MAX_SHARED * num_rows:
            raise ValueError(
                f"{file}: {self.num_shared} of its {num_rows} rows are in earlier files of this source, too; {REMEDY}"
            )
        for number, shared in self.shared_with.items():
            earlier, num_earlier = self.files[number]
            if shared > MAX_SHARED * num_earlier:
                raise ValueError(
                    f"{file} has {shared} of the {num_earlier} rows of {earlier}, too; {REMEDY}"
                )

    def _merge_last(self) -> None:
        """Make one of the last two runs; of a row that both have, the earlier file stays."""
        last = self.runs.pop()
        before = self.runs.pop()
        hashes = np.concatenate([before[0], last[0]])
        files = np.concatenate([before[1], last[1]])
        distinct, first = np.unique(hashes, return_index=True)
        self.runs.append((distinct, files[first]))
