"""The first pass of ingest: every row of the sources and of the log goes to the spill file of its customer's shard."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from lifecycle.erasure.tombstones import NOBODY, ErasedIds
from lifecycle.events.shards import shard_numbers
from training.ingest.catalogue import LineCatalogue
from training.ingest.corrections import are_corrected, warn_of_order, with_left_out
from training.ingest.currencies import Exchange, money_by_currency
from training.ingest.dates import days_of
from training.ingest.files.found import source_files
from training.ingest.logged import LogPart, log_batches
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.report import rows_dropped
from training.ingest.recipe import IngestConfig
from training.ingest.rules import ERASED, SPILL_SCHEMA, checked_rows, event_rows
from training.ingest.sources import VERSION, Source
from training.ingest.tables.batches import ParsedRows, read_batches
from training.ingest.tables.lookups import Lookup
from training.ingest.tables.repeats import EarlierRows, alike
from training.results.quality import Matches

logger = logging.getLogger(__name__)
MAX_FILES = 1000  # whose amounts are compared one by one
SPILL = pl.DataFrame(schema=SPILL_SCHEMA).to_arrow().schema


@dataclass
class FirstPass:
    """Where the rows of all sources go, and how many did."""

    config: IngestConfig
    read: ReadCounts
    catalogue: LineCatalogue
    writers: list[pa.RecordBatchStreamWriter]
    erased: ErasedIds = NOBODY
    num_rows: int = 0

    def add(self, batch: ParsedRows, number: int, source: Source) -> None:
        """Count the rows of a batch, apply the rules to them, and append them."""
        self.read.add_read(source.path, batch.rows, batch.left_out)
        batch = self._without_erased(batch)
        rows = checked_rows(batch, source, self.config.missing, self.read)
        has_few = len(self.read.files) < MAX_FILES
        self.read.add_amounts(str(batch.file) if has_few else source.path, rows)
        self.read.add_times(batch.file, rows["occurred_at"])
        self.read.add_days(days_of(rows))
        if self.config.items is None:
            self.catalogue.add(rows)
        self.num_rows += rows.height
        if are_corrected(self.config, source):
            rows = with_left_out(rows, batch)
        _append(event_rows(rows, number, self.read.file_number(batch.file, number)), self.writers)
        number = self.read.account.read.rows
        logger.info("%s: %d rows in all read by now", batch.file.name, number)

    def _without_erased(self, batch: ParsedRows) -> ParsedRows:
        """The rows of all who are not erased."""
        if not self.erased:
            return batch
        erased = self.erased.among(batch.rows["customer_id"].drop_nulls().unique())
        is_erased = pl.col("customer_id").is_in(list(erased)).fill_null(False)
        self.read.leave_out(ERASED, batch.rows.filter(is_erased))
        return replace(batch, rows=batch.rows.filter(~is_erased))


def _watched(config: IngestConfig) -> set[int]:
    """The sources, by number, whose rows are compared with those of other files of such events."""
    watched: set[int] = set()
    for numbers in alike(config.sources):
        num_files = sum(len(source_files(config.sources[number])) for number in numbers)
        if num_files > 1:
            watched.update(numbers)
    return watched


def spill(
    config: IngestConfig,
    folder: Path,
    num_shards: int,
    lookups: list[Lookup | None],
    read: ReadCounts,
    catalogue: LineCatalogue,
    exchange: Exchange,
    logged: LogPart | None,
    erased: ErasedIds,
) -> None:
    """First pass: parse every row, apply the rules, and append it to the spill file of its customer's shard."""
    watched = _watched(config)
    earlier = EarlierRows(
        ids_decide=config.on_repeated_id != "error",
        texts_count=any(config.sources[number].duplicates == "drop" for number in watched),
    )
    with _spill_writers(folder, num_shards) as writers:
        first = FirstPass(config, read, catalogue, writers, erased)
        empty = {}
        for number, (source, lookup) in enumerate(zip(config.sources, lookups, strict=True)):
            num_before = first.num_rows
            before = Counter(rows_dropped(read.account))
            for found in read_batches(source, lookup, earlier if number in watched else None):
                batch = exchange.converted(found, source)
                read.add_currencies(money_by_currency(batch.rows))
                if lookup is not None:
                    read.add_matches(lookup.name, batch.num_keys, batch.num_found)
                first.add(batch, number, source)
            if first.num_rows == num_before:
                empty[source.path] = dict(Counter(rows_dropped(read.account)) - before)
        if config.log is not None and logged is not None:
            source = config.log.source
            for batch in log_batches(config.log, logged, config.timezone):
                first.add(batch, len(config.sources), source)
    exchange.unmapped.warn()
    for source in config.sources:
        if are_corrected(config, source) and VERSION not in source.columns:
            warn_of_order(source_files(source), read, config.on_repeated_id)
    for path, reasons in empty.items():
        logger.warning("no row of %s is kept; left out by reason: %s", path, reasons)
    if first.num_rows == 0:
        check_matches(read.matches, config.min_matched_share)
        paths = [source.path for source in config.sources]
        dropped = rows_dropped(read.account)
        remedy = (
            "; without amounts `amount: 1` counts orders; a sum with a blank cell is blank, so COALESCE(x, 0)"
            if "missing_amount" in dropped
            else ""
        )
        raise ValueError(f"no usable event in {paths}; rows left out by reason: {dropped}{remedy}")


def check_matches(matches: Mapping[str, Matches], min_share: float) -> None:
    """ValueError where a table has too few of the names that rows call for, as where its ids lost their zeros.

    Of items that is a warning: those that a shop sells no more are missing from many catalogues.
    """
    for table, found in matches.items():
        if found.share >= min_share:
            continue
        line = (
            f"{table}: only {found.matched} of {found.rows} ({found.share:.1%}) are found there, less than "
            f"min_matched_share {min_share}; are ids written alike: zeros in front, capital letters?"
        )
        if table != "items":
            raise ValueError(line)
        logger.warning(line)


def _append(events: pl.DataFrame, writers: list[pa.RecordBatchStreamWriter]) -> None:
    """Append each event to the spill file of its customer's shard."""
    shards = shard_numbers(events["customer_id"], len(writers)).alias("shard")
    by_shard = events.with_columns(shards).partition_by("shard", as_dict=True, include_key=False)
    for (shard,), part in by_shard.items():
        writers[shard].write_table(part.to_arrow())


@contextmanager
def _spill_writers(folder: Path, num_shards: int) -> Iterator[list[pa.RecordBatchStreamWriter]]:
    """One open stream of record batches per shard."""
    folder.mkdir()
    with ExitStack() as stack:
        yield [
            stack.enter_context(pa.ipc.new_stream(spill_file(folder, n), SPILL))
            for n in range(num_shards)
        ]


def spill_file(folder: Path, shard: int) -> str:
    """Where the rows of a shard wait."""
    return str(folder / f"{shard}.arrow")
