"""Job: any shop's tables to events, items and customers that every later stage can trust, with a quality report."""

import logging
import math
from datetime import datetime
from pathlib import Path

import polars as pl

from lifecycle.erasure.current import require_as_current
from lifecycle.erasure.tombstones import ErasedIds
from lifecycle.events.log_position import LogPosition
from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import DATA_KIND, DataManifest
from lifecycle.folders import fingerprint, is_complete, new_folder, write_json, write_manifest
from training.ingest.catalogue import LineCatalogue, read_customer_table, read_item_table
from training.ingest.currencies import Exchange, exchange_of
from training.ingest.dates import odd_dates, span_of
from training.ingest.erased import who_is_erased
from training.ingest.files.found import source_files, unread_files
from training.ingest.logged import LogPart, log_part
from training.ingest.origin import NO_ORIGIN, ingest_made_from
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.report import QUALITY_FILE, quality_report
from training.ingest.quality.summary import log_summary, warnings_of
from training.ingest.quality.warned import kept_warnings
from training.ingest.recipe import IngestConfig
from training.ingest.shards import SHARDS_AT_A_TIME, finish_shards
from training.ingest.sources import Source, Table
from training.ingest.spill import check_matches, spill
from training.ingest.tables.batches import check_columns
from training.ingest.tables.lookups import Lookup, read_lookup
from training.ingest.tables.repeats import check_copies
from training.results.quality import QualityReport

logger = logging.getLogger(__name__)
BYTES_PER_SHARD = {"csv": 48 << 20, "json": 96 << 20, "parquet": 4 << 20}


def ingest(config: IngestConfig) -> None:
    """Write the ingest folder; a complete one from the same recipe and files is left as it is."""
    logged = log_part(config.log, config.key)
    left_out = who_is_erased(config, logged)
    position = None if logged is None else logged.position
    identity = _identity(config, position)
    made_from = ingest_made_from(config, position)
    if is_complete(config.output, DATA_KIND, identity, made_from):
        require_as_current(config.output, DATA_KIND, left_out.erasure)
        logger.info("%s is complete already", config.output)
        return
    check_copies(config.sources)
    num_shards = config.num_shards or _num_shards(config.sources, logged)
    with new_folder(config.output) as folder, kept_warnings() as warned:
        config.save(folder / "ingest.yaml")
        read = ReadCounts()
        catalogue = LineCatalogue()
        lookups = _checked_lookups(config, read)
        rates = (config.rates, config.rates_table)
        exchange = exchange_of(config.currency, *rates, read, is_stated=config.states_currency)
        _write_tables(config, folder, read, exchange, left_out.ids)
        place = folder / "spill"
        erased = left_out.ids
        spill(config, place, num_shards, lookups, read, catalogue, exchange, logged, erased)
        span = span_of(read.days, read.purchase_days, config.first_date, config.last_date)
        for told in (*odd_dates(read.days, span, config.sources), read.other_units()):
            if told is not None:
                logger.warning(told)
        finished = finish_shards(config, folder, num_shards, span, read)
        if config.items is None:
            catalogue.items(span).write_parquet(folder / "items.parquet")
        items = pl.read_parquet(folder / "items.parquet")
        report = quality_report(read, finished, config.currency, items, config.source_names)
        check_matches(report.matches, config.min_matched_share)
        found = tuple(warnings_of(report))
        _write_quality(config, folder, report.model_copy(update={"warnings": (*warned, *found)}))
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
            log=position,
            erasure=left_out.erasure,
        )
        write_manifest(folder, DATA_KIND, manifest)
    logger.info(
        "%s: %d events of %d customers in %d shards",
        config.output,
        report.num_events,
        report.num_customers,
        num_shards,
    )
    log_summary(report, found)


def _write_quality(config: IngestConfig, folder: Path, report: QualityReport) -> None:
    write_json(folder / QUALITY_FILE, report.model_dump(mode="json"))
    if config.quality_html:
        from training.report.quality import write_quality_html  # which imports matplotlib

        write_quality_html(folder / "quality.html", report)


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


def _identity(config: IngestConfig, position: LogPosition | None) -> str:
    """What the recipe, the state of every file and the log's position come to."""
    stamps = []
    lookups = [source.lookup for source in config.sources if source.lookup]
    for table in [*_tables(config), *lookups]:
        for file in source_files(table):
            state = file.stat()
            stamps.append((str(file), state.st_size, state.st_mtime_ns))
    if position is None:  # as before there were logs
        return fingerprint([config.model_dump(mode="json", exclude=NO_ORIGIN | {"log"}), stamps])
    recipe = config.model_dump(mode="json", exclude=NO_ORIGIN)
    return fingerprint([recipe, stamps, position.identity, position.sequence])


def _tables(config: IngestConfig) -> list[Table]:
    return [*config.sources, *_other_tables(config)]


def _other_tables(config: IngestConfig) -> list[Table]:
    others = (config.items, config.customers, config.rates_table)
    return [table for table in others if table]


def _num_shards(sources: tuple[Source, ...], logged: LogPart | None) -> int:
    """By the size of the sources and the log; a multiple of those finished at a time, for none to wait."""
    parts = 0.0 if logged is None else float(logged.num_shards)
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


def _write_tables(
    config: IngestConfig, folder: Path, read: ReadCounts, exchange: Exchange, erased: ErasedIds
) -> None:
    _usable_attributes(config)
    if config.items is not None:
        items = read_item_table(config.items, read, exchange)
        items.write_parquet(folder / "items.parquet")
    if config.customers is not None:
        customers = read_customer_table(config.customers, read, erased)
        customers.write_parquet(folder / "customers.parquet")
