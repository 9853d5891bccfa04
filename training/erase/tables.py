"""Files of tables without the rows of erased customers, who stand in a column customer_id."""

import csv
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TextIO

import polars as pl
import pyarrow.parquet as pq
from pydantic import JsonValue

from lifecycle.erasure.tombstones import ErasedIds
from lifecycle.folders import write_json
from lifecycle.strict_json import parse_json
from training.audience.spreadsheet import QUOTE

CUSTOMER = "customer_id"
SEPARATORS = (",", ";", "\t", "|")
MAX_QUOTES = 6  # of a cell that are looked at


@dataclass
class Sweep:
    """Who is looked for, and the rows found of each: by the hash of the id, and the ids themselves."""

    erased: ErasedIds
    rows: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)  # stay in memory

    def finds(self, customer_id: object, num_rows: int = 1) -> bool:
        """Whether this is an erased customer, whose rows are counted then."""
        sha256 = self.erased.hash_of(customer_id) if isinstance(customer_id, str) else None
        if sha256 is None:
            return False
        assert isinstance(customer_id, str)
        self.rows[sha256] += num_rows
        self.ids.add(customer_id)
        return True

    def add(self, other: "Sweep") -> None:
        """Take in what was found elsewhere."""
        self.rows += other.rows
        self.ids |= other.ids


def link(source: str | Path, target: str | Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def clean_parquet(source: Path, target: Path, sweep: Sweep) -> None:
    """Rows are streamed; those that stay keep their order, and row groups their size."""
    found = find_in_parquet(source, sweep)
    if not found:
        link(source, target)
        return
    others = pl.scan_parquet(source).filter(~pl.col(CUSTOMER).is_in(found).fill_null(False))
    group_rows = pq.read_metadata(source).row_group(0).num_rows
    others.sink_parquet(target, row_group_size=group_rows)


def find_in_parquet(source: Path, sweep: Sweep) -> list[str]:
    """The erased customers of a file, whose rows are counted."""
    if CUSTOMER not in pq.read_schema(source).names:
        return []
    counts = pl.scan_parquet(source).group_by(CUSTOMER).len().collect(engine="streaming")
    return [
        customer for customer, num_rows in counts.iter_rows() if sweep.finds(customer, num_rows)
    ]


def clean_csv(source: Path, target: Path, sweep: Sweep) -> None:
    """Records that stay keep every byte."""
    kept = find_in_csv(source, sweep)
    if kept is None:
        link(source, target)
        return
    with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.writelines(kept)


def find_in_csv(source: Path, sweep: Sweep) -> list[str] | None:
    """The lines of all others, where rows of erased customers are counted; None for a table of no customers."""
    with source.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        separator = _separator(file)
        if separator is None:
            return None
        file.seek(0)
        lines = file.readlines()
    records = csv.reader(iter(lines), delimiter=separator)
    header = next(records)
    place = header.index(CUSTOMER)
    kept = lines[: records.line_num]
    start = records.line_num
    for record in records:
        customer = record[place] if place < len(record) else ""
        if not any(sweep.finds(each) for each in _as_it_was(customer)):
            kept += lines[start : records.line_num]
        start = records.line_num
    return kept


def _separator(file: TextIO) -> str | None:
    """The one by which the header, which may have several lines, names customers; None where none does."""
    for separator in SEPARATORS:
        file.seek(0)
        if CUSTOMER in next(csv.reader(file, delimiter=separator), []):
            return separator
    return None


def _as_it_was(cell: str) -> set[str]:
    """What a cell may have been before it was made safe for spreadsheets, by quotes in front or within."""
    places = [place for place, letter in enumerate(cell) if letter == QUOTE][:MAX_QUOTES]
    return {
        "".join(letter for place, letter in enumerate(cell) if place not in left_out)
        for number in range(len(places) + 1)
        for left_out in combinations(places, number)
    }


def find_in_json(source: Path, sweep: Sweep) -> JsonValue:
    """What is left of a file without the objects of erased customers, which are counted."""
    before = parse_json(source.read_bytes())
    return None if _is_of_one(before, sweep) else _without(before, sweep)


def clean_json(source: Path, target: Path, sweep: Sweep) -> None:
    """Objects with the customer_id of an erased customer are taken out of what holds them, be it the file."""
    before = parse_json(source.read_bytes())
    if _is_of_one(before, sweep):
        return
    after = _without(before, sweep)
    if after == before:
        link(source, target)
    else:
        write_json(target, after)


def clean_json_lines(source: Path, target: Path, sweep: Sweep) -> None:
    """Lines that stay keep every byte."""
    with source.open("rb") as lines, target.open("wb") as kept:
        for line in lines:
            if not (line.strip() and _is_of_one(parse_json(line), sweep)):
                kept.write(line)


def _without(value: JsonValue, sweep: Sweep) -> JsonValue:
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if not _is_of_one(inner, sweep)}
        return {name: _without(inner, sweep) for name, inner in kept.items()}
    if isinstance(value, list):
        return [_without(each, sweep) for each in value if not _is_of_one(each, sweep)]
    return value


def _is_of_one(value: JsonValue, sweep: Sweep) -> bool:
    return isinstance(value, dict) and sweep.finds(value.get(CUSTOMER))
