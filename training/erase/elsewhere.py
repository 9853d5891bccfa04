"""Tables of customers that no folder of the recipe holds, such as audiences: read, and told, but not cleaned."""

import csv
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from polars.exceptions import PolarsError

from lifecycle.erasure.tombstones import ErasedIds
from training.erase.tables import Sweep, find_in_csv, find_in_json, find_in_parquet

logger = logging.getLogger(__name__)
READERS = {
    ".parquet": find_in_parquet,
    ".csv": find_in_csv,
    ".tsv": find_in_csv,
    ".json": find_in_json,
}


def found_elsewhere(
    places: Iterable[Path], folders: Iterable[Path], erased: ErasedIds
) -> dict[str, list[str]]:
    """By the hash of an erased customer, the files below `places` and outside `folders` that have rows of it."""
    cleaned = [folder.resolve() for folder in folders]
    found: dict[str, list[str]] = {}
    for path in _files(places):
        if any(path.resolve().is_relative_to(folder) for folder in cleaned):
            continue
        sweep = Sweep(erased)
        try:
            READERS[path.suffix.lower()](path, sweep)
        except (ValueError, csv.Error, PolarsError) as error:
            logger.warning("%s cannot be read, and may hold erased customers: %s", path, error)
        if sweep.rows:
            logger.warning(
                "%s has %d rows of %d erased customers, and lies in no folder of the recipe: make it anew or delete it",
                path,
                sweep.rows.total(),
                len(sweep.rows),
            )
        for sha256, num_rows in sweep.rows.items():
            found.setdefault(sha256, []).append(f"{path}: {num_rows} rows")
    return found


def _files(places: Iterable[Path]) -> Iterator[Path]:
    paths = {
        path for place in places for path in place.rglob("*") if path.suffix.lower() in READERS
    }
    yield from sorted(path for path in paths if path.is_file())
