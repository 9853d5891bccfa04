"""Job: any shop's tables to events, items and customers that every later stage can trust, with a quality report."""

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import polars as pl

from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import DATA_KIND, DataManifest
from lifecycle.folders import fingerprint, is_complete, new_folder, write_json, write_manifest
from training.ingest.catalogue import LineCatalogue, read_customer_table, read_item_table
from training.ingest.corrections import are_corrected, with_left_out
from training.ingest.currencies import Exchange, exchange_of, money_by_currency
from training.ingest.dates import days_of, lonely_dates, span_of, thin_end
from training.ingest.files.found import source_files, unread_files
from training.ingest.origin import ingest_made_from
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.report import QUALITY_FILE, quality_report, rows_dropped
from training.ingest.quality.summary import log_summary
from training.ingest.recipe import IngestConfig
from training.ingest.rules import checked_rows, event_rows
from training.ingest.shards import SHARDS_AT_A_TIME, append, finish_shards, spill_writers
from training.ingest.sources import Source, Table
from training.ingest.tables.batches import check_columns, read_batches
from training.ingest.tables.lookups import Lookup, read_lookup
from training.ingest.tables.repeats import EarlierRows, alike, check_copies
from training.results.quality import Matches

logger = logging.getLogger(__name__)
BYTES_PER_SHARD = {"csv": 48 << 20, "json": 96 << 20, "parquet": 4 << 20}


def ingest(config: IngestConfig) -> None:
    """Write the ingest folder; a complete one from the same recipe and files is left as it is."""
    identity = _identity(config)
    made_from = ingest_made_from(config)
    if is_complete(config.output, DATA_KIND, identity, made_from):
        logger.info("%s is complete already", config.output)
        return
    check_copies(config.sources)
    num_shards = config.num_shards or _num_shards(config.sources)
    with new_folder(config.output) as folder:
        config.save(folder / "ingest.yaml")
        read = ReadCounts()
        catalogue = LineCatalogue()
        lookups = _checked_lookups(config, read)
        rates = (config.rates, config.rates_table)
        exchange = exchange_of(config.currency, *rates, read, is_stated=config.states_currency)
        _write_tables(config, folder, read, exchange)
        _spill(config, folder / "spill", num_shards, lookups, read, catalogue, exchange)
        span = span_of(read.days, read.purchase_days, config.first_date, config.last_date)
        days = read.days
        for told in (thin_end(days, span), lonely_dates(days, span), read.other_units()):
            if told is not None:
                logger.warning(told)
        finished = finish_shards(config, folder, num_shards, span, read)
        if config.items is None:
            catalogue.items(span).write_parquet(folder / "items.parquet")
        items = pl.read_parquet(folder / "items.parquet")
        report = quality_report(
            read, finished, config.currency, items, [source.path for source in config.sources]
        )
        _check_matches(report.matches, config.min_matched_share)
        write_json(folder / QUALITY_FILE, report.model_dump(mode="json"))
        if config.quality_html:
            from training.report.quality import write_quality_html  # which imports matplotlib

            write_quality_html(folder / "quality.html", report)
        manifest = DataManifest(
            identity=identity,
            made_from=made_from,
            num_shards=num_shards,
            currency=config.currency,
            timezone=config.timezone,
            first_event_at=datetime.fromisoformat(report.first_event_at),
            last_event_at=datetime.fromisoformat(report.last_event_at),
            num_events=report.num_events,
            num_customers=report.num_customers,
            usable_attributes=tuple(_usable_attributes(config)),
        )
        write_manifest(folder, DATA_KIND, manifest)
    logger.info(
        "%s: %d events of %d customers in %d shards",
        config.output,
        report.num_events,
        report.num_customers,
        num_shards,
    )
    log_summary(report)


def _checked_lookups(config: IngestConfig, read: ReadCounts) -> list[Lookup | None]:
    """The lookup of each source, once every table's columns fit the recipe; no rows of sources are read yet."""
    lookups = [read_lookup(source) for source in config.sources]
    for source, lookup in zip(config.sources, lookups, strict=True):
        check_columns(source, lookup)
        if lookup is not None:
            rows = lookup.rows.height
            read.set_table(lookup.name, lookup.num_read, rows, lookup.left_out)
    for table in _other_tables(config):
        check_columns(table)
    for table in _tables(config):
        read.files_not_read += unread_files(table)
    if read.files_not_read:
        logger.warning("not read, though they lie in the folders: %s", read.files_not_read)
    zones = {source.timezone for source in config.sources}
    if len(zones) > 1:
        logger.warning(
            "sources have times of %s; the shop's zone is %s", sorted(zones), config.timezone
        )
    return lookups


def _check_matches(matches: Mapping[str, Matches], min_share: float) -> None:
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


def _identity(config: IngestConfig) -> str:
    """What the recipe and the state of every file come to."""
    stamps = []
    lookups = [source.lookup for source in config.sources if source.lookup]
    for table in [*_tables(config), *lookups]:
        for file in source_files(table):
            state = file.stat()
            stamps.append((str(file), state.st_size, state.st_mtime_ns))
    return fingerprint([config.model_dump(mode="json", exclude={"output"}), stamps])


def _tables(config: IngestConfig) -> list[Table]:
    return [*config.sources, *_other_tables(config)]


def _other_tables(config: IngestConfig) -> list[Table]:
    others = (config.items, config.customers, config.rates_table)
    return [table for table in others if table]


def _num_shards(sources: tuple[Source, ...]) -> int:
    """By the size of the sources; a multiple of those finished at a time, so that none waits for the last."""
    parts = 0.0
    for source in sources:
        num_bytes = sum(file.stat().st_size for file in source_files(source))
        parts += num_bytes / BYTES_PER_SHARD[source.format]
    rounds = math.ceil(round(parts) / SHARDS_AT_A_TIME)
    return SHARDS_AT_A_TIME * max(1, min(256, rounds))


def _usable_attributes(config: IngestConfig) -> list[str]:
    """Attributes declared usable; ValueError for a declaration of a column that the recipe does not map."""
    if config.customers is None:
        return []
    declared = config.customers.usable_for_prediction
    columns = config.customers.columns
    for name in declared:
        if name not in columns:
            raise ValueError(
                f"customers.usable_for_prediction.{name}: not among customers.columns {list(columns)}"
            )
    undeclared = [name for name in columns if name not in {*declared, "customer_id", OWN_RATE}]
    if undeclared:
        logger.warning(
            "customers.usable_for_prediction does not declare %s: kept for audits only", undeclared
        )
    return [name for name, usable in declared.items() if usable]


def _write_tables(config: IngestConfig, folder: Path, read: ReadCounts, exchange: Exchange) -> None:
    _usable_attributes(config)
    if config.items is not None:
        items = read_item_table(config.items, read, exchange)
        items.write_parquet(folder / "items.parquet")
    if config.customers is not None:
        customers = read_customer_table(config.customers, read)
        customers.write_parquet(folder / "customers.parquet")


def _watched(config: IngestConfig) -> set[int]:
    """The sources, by number, whose rows are compared with those of other files of such events."""
    watched: set[int] = set()
    for numbers in alike(config.sources):
        num_files = sum(len(source_files(config.sources[number])) for number in numbers)
        if num_files > 1:
            watched.update(numbers)
    return watched


def _spill(
    config: IngestConfig,
    folder: Path,
    num_shards: int,
    lookups: list[Lookup | None],
    read: ReadCounts,
    catalogue: LineCatalogue,
    exchange: Exchange,
) -> None:
    """First pass: parse every row, apply the rules, and append it to the spill file of its customer's shard."""
    num_rows = 0
    watched = _watched(config)
    earlier = EarlierRows(ids_decide=config.on_repeated_id != "error")
    with spill_writers(folder, num_shards) as writers:
        for number, (source, lookup) in enumerate(zip(config.sources, lookups, strict=True)):
            for found in read_batches(source, lookup, earlier if number in watched else None):
                batch = exchange.converted(found, source)
                read.add_currencies(money_by_currency(batch.rows))
                read.add_read(source.path, batch.rows, batch.left_out)
                if lookup is not None:
                    read.add_matches(lookup.name, batch.num_keys, batch.num_found)
                rows = checked_rows(batch, source, config.missing, read)
                read.add_amounts(source.path, rows)
                read.add_days(days_of(rows))
                if config.items is None:
                    catalogue.add(rows)
                num_rows += rows.height
                if are_corrected(config, source):
                    rows = with_left_out(rows, batch)
                append(event_rows(rows, number, read.file_number(batch.file)), writers)
                logger.info(
                    "%s: %d rows in all read by now", batch.file.name, read.account.read.rows
                )
    exchange.unmapped.warn()
    if num_rows == 0:
        _check_matches(read.matches, config.min_matched_share)
        paths = [source.path for source in config.sources]
        dropped = rows_dropped(read.account)
        remedy = (
            "; without amounts `amount: 1` counts orders" if "missing_amount" in dropped else ""
        )
        raise ValueError(f"no usable event in {paths}; rows left out by reason: {dropped}{remedy}")
