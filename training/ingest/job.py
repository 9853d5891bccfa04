"""Job: any shop's tables to events, items and customers that every later stage can trust, with a quality report."""

import logging
from pathlib import Path

import polars as pl

from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import DATA_KIND, DataManifest
from lifecycle.folders import fingerprint, is_complete, new_folder, write_json, write_manifest
from training.ingest.catalogue import LineCatalogue, read_customer_table, read_item_table
from training.ingest.currencies import UnmappedCodes, exchange_of, money_by_currency
from training.ingest.dates import days_of, span_of
from training.ingest.origin import ingest_made_from
from training.ingest.quality.counts import QualityCounts
from training.ingest.quality.report import QUALITY_FILE, quality_report, rows_dropped
from training.ingest.quality.summary import log_summary
from training.ingest.recipe import IngestConfig
from training.ingest.rules import checked_rows, event_rows
from training.ingest.shards import append, finish_shards, spill_writers
from training.ingest.tables.batches import check_columns, read_batches
from training.ingest.tables.files import source_files, unread_files
from training.ingest.tables.sources import Source, Table

logger = logging.getLogger(__name__)
BYTES_PER_SHARD = {"csv": 48 << 20, "json": 96 << 20, "parquet": 4 << 20}


def ingest(config: IngestConfig) -> None:
    """Write the ingest folder; a complete one from the same recipe and files is left as it is."""
    identity = _identity(config)
    made_from = ingest_made_from(config)
    if is_complete(config.output, DATA_KIND, identity, made_from):
        logger.info("%s is complete already", config.output)
        return
    num_shards = config.num_shards or _num_shards(config.sources)
    with new_folder(config.output) as folder:
        config.save(folder / "ingest.yaml")
        quality = QualityCounts()
        catalogue = LineCatalogue()
        for table in _tables(config):
            check_columns(table)
            quality.files_not_read += unread_files(table)
        if quality.files_not_read:
            logger.warning("not read, though they lie in the folders: %s", quality.files_not_read)
        _write_tables(config, folder, quality)
        _spill(config, folder / "spill", num_shards, quality, catalogue)
        span = span_of(quality.days, config.first_date, config.last_date)
        finish_shards(config, folder, num_shards, span, quality)
        _check_matches(quality, config.min_matched_share)
        if quality.far_dates.rows:
            logger.warning(
                "set apart, as their dates lie far from all others: %s", quality.far_dates
            )
        if config.items is None:
            catalogue.items(span).write_parquet(folder / "items.parquet")
        items = pl.read_parquet(folder / "items.parquet")
        report = quality_report(quality, config.currency, items)
        write_json(folder / QUALITY_FILE, report.model_dump(mode="json"))
        if config.quality_html:
            from training.report.quality import write_quality_html  # which imports matplotlib

            write_quality_html(folder / "quality.html", report)
        assert quality.first_event_at is not None and quality.last_event_at is not None
        manifest = DataManifest(
            identity=identity,
            made_from=made_from,
            num_shards=num_shards,
            currency=config.currency,
            first_event_at=quality.first_event_at,
            last_event_at=quality.last_event_at,
            num_events=quality.num_events,
            num_customers=quality.num_customers,
            usable_attributes=tuple(_usable_attributes(config)),
        )
        write_manifest(folder, DATA_KIND, manifest)
    logger.info(
        "%s: %d events of %d customers in %d shards",
        config.output,
        quality.num_events,
        quality.num_customers,
        num_shards,
    )
    log_summary(report)


def _check_matches(quality: QualityCounts, min_share: float) -> None:
    """ValueError where a table has too few of the names that rows call for, as where its ids lost their zeros.

    Of items that is a warning: those that a shop sells no more are missing from many catalogues.
    """
    for table, found in quality.matches.items():
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
    others = (config.items, config.customers, config.rates_table)
    return [*config.sources, *(table for table in others if table)]


def _num_shards(sources: tuple[Source, ...]) -> int:
    parts = 0.0
    for source in sources:
        num_bytes = sum(file.stat().st_size for file in source_files(source))
        parts += num_bytes / BYTES_PER_SHARD[source.format]
    return max(2, min(512, round(parts)))


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


def _write_tables(config: IngestConfig, folder: Path, quality: QualityCounts) -> None:
    _usable_attributes(config)
    if config.items is not None:
        items, quality.num_conflicting_items = read_item_table(config.items)
        items.write_parquet(folder / "items.parquet")
    if config.customers is not None:
        read_customer_table(config.customers).write_parquet(folder / "customers.parquet")


def _spill(
    config: IngestConfig,
    folder: Path,
    num_shards: int,
    quality: QualityCounts,
    catalogue: LineCatalogue,
) -> None:
    """First pass: parse every row, apply the rules, and append it to the spill file of its customer's shard."""
    num_rows = 0
    exchange = exchange_of(config.currency, config.rates, config.rates_table)
    unmapped = UnmappedCodes(config.currency)
    with spill_writers(folder, num_shards) as writers:
        for number, source in enumerate(config.sources):
            for found in read_batches(source):
                unmapped.add(found)
                batch = exchange.converted(found, source)
                quality.add_currencies(money_by_currency(batch.rows))
                quality.add_read(source.path, batch.rows, batch.left_out)
                if source.lookup is not None:
                    name = f"lookup {source.lookup.path}"
                    quality.add_matches(name, batch.num_keys, batch.num_found)
                rows = checked_rows(batch, source, config.missing, quality)
                quality.add_amounts(rows)
                quality.days.update(days_of(rows))
                if config.items is None:
                    catalogue.add(rows)
                append(event_rows(rows, number), writers)
                num_rows += rows.height
                logger.info("%s: %d rows read", batch.file.name, quality.account.read.rows)
    unmapped.warn()
    if num_rows == 0:
        paths = [source.path for source in config.sources]
        dropped = rows_dropped(quality.account)
        remedy = (
            "; without amounts `amount: 1` counts orders" if "missing_amount" in dropped else ""
        )
        raise ValueError(f"no usable event in {paths}; rows left out by reason: {dropped}{remedy}")
