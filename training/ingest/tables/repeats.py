"""Rows that several files share: an export was made again, its months overlap, or two sources name one file."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA, is_purchase
from training.ingest.files.found import source_files
from training.ingest.files.readers import opened
from training.ingest.sources import VERSION, Source

logger = logging.getLogger(__name__)
COMPARED = {**EVENT_SCHEMA, VERSION: pl.Float64()}
IN_EARLIER_FILE = "in_earlier_file"  # the reason by which rows that files share are left out
MAX_SHARED = 0.5  # of the rows of a file
REMEDY = "say duplicates: drop to count them once, or keep where they are different events"
COPY_SEED = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class EarlierRows:
    """Hashes of the events of all files before the present one, each with the number of its file.

    The second of equal rows within a file has a hash of its own, so that as many are shared as both
    files have. Hashes lie in sorted runs, each at most half as long as the one before it, so that a
    thousand files cost little more than one of as many rows.
    """

    ids_decide: bool = False  # rows that have an event_id are not compared
    # Whether purchases and refunds of other texts are others: asked before one is left out. A shop may
    # edit a note and export the order again, so where rows are only counted, they are the same.
    texts_count: bool = False
    files: list[tuple[Path, int]] = field(default_factory=list)  # with their numbers of rows
    runs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # hashes, file numbers
    num_present: int = 0  # rows of the present file, those of `present` and others
    present: list[np.ndarray] = field(default_factory=list)
    contents: list[np.ndarray] = field(default_factory=list)  # of the present file, ascending
    num_shared: int = 0  # rows of the present file that some earlier one has
    # Rows of the present file by the number of the earlier one.
    shared_with: Counter[int] = field(default_factory=Counter)

    def are_shared(self, events: pl.DataFrame) -> np.ndarray:
        """Which of the next events (n,) of the present file an earlier file has."""
        self.num_present += events.height
        if not self.ids_decide or "event_id" not in events.columns:
            return self._are_shared(events)
        is_shared = np.zeros(events.height, dtype=bool)
        is_compared = events["event_id"].is_null().to_numpy()
        if is_compared.any():
            is_shared[is_compared] = self._are_shared(events.filter(is_compared))
        return is_shared

    def _are_shared(self, events: pl.DataFrame) -> np.ndarray:
        hashes = self._numbered(_hashes(events if self.texts_count else _without_notes(events)))
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

    def end_file(self, file: Path, *, may_share: bool, counts_once: bool = False) -> None:
        """Take the present file among the earlier ones; `counts_once` where equal rows do.

        ValueError where it has more than half of its rows in common with all of them, or more than
        half of the rows of one of them.
        """
        num_rows = self.num_present
        num_compared = sum(hashes.size for hashes in self.present)
        if num_compared and not may_share:
            self._check(file, num_rows)
        if self.num_shared and not may_share:
            message = "%s: %d of its %d rows are in earlier files, too; %s"
            fate = (
                "of those equal in every column one counts" if counts_once else "they count twice"
            )
            logger.warning(message, file, self.num_shared, num_rows, fate)
        if num_compared:
            hashes = np.unique(np.concatenate(self.present))
            self.runs.append((hashes, np.full(hashes.size, len(self.files), dtype=np.uint32)))
        self.files.append((file, num_rows))
        self.num_present = 0
        self.present = []
        self.contents = []
        self.shared_with = Counter()
        self.num_shared = 0
        while len(self.runs) > 1 and 2 * self.runs[-1][0].size > self.runs[-2][0].size:
            self._merge_last()

    def _numbered(self, contents: np.ndarray) -> np.ndarray:
        """Hashes of contents, and of the number of the copy in this file where one comes again."""
        copies = np.zeros(contents.size, dtype=np.uint64)
        for before in self.contents:
            found = np.searchsorted(before, contents, "right") - np.searchsorted(before, contents)
            copies += found.astype(np.uint64)
        series = pl.Series("content", contents)
        again = series.is_duplicated().arg_true()
        if again.len():
            number = pl.int_range(pl.len(), dtype=pl.UInt64).over("content")
            within = series.gather(again).to_frame().select(number).to_series().to_numpy()
            copies[again.to_numpy()] += within
        self.contents.append(np.sort(contents))
        hashes: np.ndarray = contents + copies * COPY_SEED
        return hashes

    def _check(self, file: Path, num_rows: int) -> None:
        if self.num_shared > MAX_SHARED * num_rows:
            raise ValueError(
                f"{file}: {self.num_shared} of its {num_rows} rows are in earlier files, too; {REMEDY}"
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


def _without_notes(events: pl.DataFrame) -> pl.DataFrame:
    """The events without the texts of those that move money."""
    if "text" not in events.columns:
        return events
    moves_money = is_purchase() | (pl.col("kind") == "refund")
    return events.with_columns(text=pl.when(~moves_money).then("text"))


def _hashes(events: pl.DataFrame) -> np.ndarray:
    """Of all that the recipe reads of an event, whatever the columns' order and the types in the file."""
    columns = [
        (pl.col(name) if name in events.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in COMPARED.items()
    ]
    return events.select(columns).hash_rows().to_numpy()


def alike(sources: Sequence[Source]) -> list[list[int]]:
    """The sources, by number, whose files may share rows by mistake: those of one kind of events together."""
    kinds: dict[str, list[int]] = {}
    for number, source in enumerate(sources):
        if source.duplicates != "keep":
            kind = str(source.columns.get("kind", source.kind or "purchase"))
            kinds.setdefault(kind, []).append(number)
    return list(kinds.values())


def check_copies(sources: Sequence[Source]) -> None:
    """ValueError where two files are equal byte for byte, and not empty but for a header, before any is read."""
    for numbers in alike(sources):
        by_size: dict[int, dict[Path, Source]] = {}
        for source in (sources[number] for number in numbers):
            for file in source_files(source) if source.duplicates is None else ():
                by_size.setdefault(file.stat().st_size, {})[file] = source
        for same in by_size.values():
            if len(same) > 1:
                _check_digests(same)


def _check_digests(files: Mapping[Path, Source]) -> None:
    earlier: dict[bytes, Path] = {}
    for file, source in files.items():
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").digest()
        first = earlier.setdefault(digest, file)
        if first != file and _has_rows(source, file):
            raise ValueError(f"{file} equals {first} byte for byte; {REMEDY}")


def _has_rows(source: Source, file: Path) -> bool:
    with opened(source, file) as found:
        return not found.frame.head(1).collect().is_empty()
