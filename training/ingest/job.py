"""Job: any shop's tables to events, items and customers that every later stage can trust, with a quality report."""

import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa

from lifecycle.events.schema import EVENT_SCHEMA, OWN_RATE
from lifecycle.events.shards import DATA_KIND, shard_numbers, shard_path
from lifecycle.folders import fingerprint, is_complete, new_folder, write_json
from lifecycle.jobs import Progress
from training.ingest.batches import ROW_HASH, check_columns, read_batches
from training.ingest.catalogue import LineCatalogue, read_customer_table, read_item_table
from training.ingest.event_ids import (
    check_ids_across_customers,
    content_ids,
    numbered,
    without_repeated_ids,
)
from training.ingest.quality import QUALITY_FILE, Quality
from training.ingest.recipe import IngestConfig
from training.ingest.refunds import match_refunds
from training.ingest.rules import (
    SOURCE,
    SPILL_SCHEMA,
    checked_rows,
    event_rows,
    without_outliers,
)
from training.ingest.sources import Source, Table, source_files
from training.report.quality import write_quality_html

logger = logging.getLogger(__name__)
ROW_GROUP_ROWS = 16_384
BYTES_PER_SHARD = {"csv": 48 << 20, "json": 96 << 20, "parquet": 4 << 20}
SHARDS_AT_A_TIME = 2  # polars and numpy release the interpreter's lock; more would take more memory
SPILL = pl.DataFrame(schema=SPILL_SCHEMA).to_arrow().schema


def ingest(config: IngestConfig) -> None:
    """Write the ingest folder; a complete one from the same recipe and files is left as it is."""
    stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(config)]
    identity = fingerprint([config.model_dump(mode="json", exclude={"output"}), stamps])
    if is_complete(config.output, DATA_KIND, identity):
        logger.info("%s is complete already", config.output)
        return
    num_shards = config.num_shards or _num_shards(config.sources)
    content: dict[str, object] = {
        "identity": identity,
        "num_shards": num_shards,
        "currency": config.currency,
    }
    with new_folder(config.output, DATA_KIND, content) as folder:
        config.save(folder / "ingest.yaml")
        quality, catalogue = Quality(), LineCatalogue()
        for table in _tables(config):
            check_columns(table)
        _write_tables(config, folder, quality)
        _spill(config, folder / "spill", num_shards, quality, catalogue)
        _finish_shards(config, folder, num_shards, quality)
        if config.items is None:
            catalogue.items().write_parquet(folder / "items.parquet")
        report = quality.report(config.currency, pl.read_parquet(folder / "items.parquet"))
        write_json(folder / QUALITY_FILE, report.model_dump(mode="json"))
        if config.quality_html:
            write_quality_html(folder / "quality.html", report)
        content |= {
            "first_event_at": report.first_event_at,
            "last_event_at": report.last_event_at,
            "num_events": report.num_events,
            "num_customers": report.num_customers,
        }
        content["usable_attributes"] = _usable_attributes(config)
    logger.info("%s: %d events of %d customers in %d shards",
                config.output, quality.num_events, quality.num_customers, num_shards)  # fmt: skip


def _tables(config: IngestConfig) -> list[Table]:
    return [*config.sources, *(table for table in (config.items, config.customers) if table)]


def _files(config: IngestConfig) -> list[Path]:
    lookups = [source.lookup for source in config.sources if source.lookup]
    return [file for table in [*_tables(config), *lookups] for file in source_files(table)]


def _num_shards(sources: tuple[Source, ...]) -> int:
    parts = sum(
        file.stat().st_size / BYTES_PER_SHARD[source.format]
        for source in sources
        for file in source_files(source)
    )
    return max(2, min(512, round(parts)))


def _usable_attributes(config: IngestConfig) -> list[str]:
    """Attributes declared usable; ValueError for a declaration of a column that the recipe does not map."""
    if config.customers is None:
        return []
    declared, columns = config.customers.usable_for_prediction, config.customers.columns
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


def _write_tables(config: IngestConfig, folder: Path, quality: Quality) -> None:
    _usable_attributes(config)
    if config.items is not None:
        items, quality.num_conflicting_items = read_item_table(config.items)
        items.write_parquet(folder / "items.parquet")
    if config.customers is not None:
        read_customer_table(config.customers).write_parquet(folder / "customers.parquet")


def _spill(
    config: IngestConfig, folder: Path, num_shards: int, quality: Quality, catalogue: LineCatalogue
) -> None:
    """First pass: parse every row, apply the rules, and append it to the spill file of its customer's shard."""
    num_rows = 0
    with _spill_writers(folder, num_shards) as writers:
        for number, source in enumerate(config.sources):
            for batch in read_batches(source):
                quality.add_counts(source.path, batch.counts)
                rows = checked_rows(batch, source, config.missing, quality)
                quality.add_amounts(rows)
                if config.items is None:
                    catalogue.add(rows)
                events = event_rows(rows, number)
                shards = shard_numbers(events["customer_id"], num_shards).alias("shard")
                parts = events.with_columns(shards).partition_by(
                    "shard", as_dict=True, include_key=False
                )
                for (shard,), part in parts.items():
                    writers[shard].write_table(part.to_arrow())
                num_rows += rows.height
                logger.info("%s: %d rows read", batch.file.name, quality.num_rows_read)
    if num_rows == 0:
        paths = [source.path for source in config.sources]
        raise ValueError(
            f"no usable event in {paths}; rows left out by reason: {dict(quality.dropped)}"
        )


@contextmanager
def _spill_writers(folder: Path, num_shards: int) -> Iterator[list[pa.RecordBatchStreamWriter]]:
    """One open stream of record batches per shard."""
    folder.mkdir()
    with ExitStack() as stack:
        yield [
            stack.enter_context(pa.ipc.new_stream(_spill_file(folder, n), SPILL))
            for n in range(num_shards)
        ]


def _spill_file(folder: Path, shard: int) -> str:
    return str(folder / f"{shard}.arrow")


def _finish_shards(config: IngestConfig, folder: Path, num_shards: int, quality: Quality) -> None:
    """Second pass, a few shards at a time: see `_finish_shard`."""
    (folder / "events").mkdir()
    fence = quality.outlier_fence(config.outliers.spread)
    catalogue = pl.read_parquet(folder / "items.parquet")["item_id"] if config.items else None
    progress = Progress("shards written", num_shards, "shards")
    matches = []
    with ThreadPoolExecutor(SHARDS_AT_A_TIME) as threads:
        for of_shard, found in threads.map(
            lambda shard: _finish_shard(config, folder, shard, fence, catalogue), range(num_shards)
        ):
            quality.add_shard(found)
            matches.append(of_shard)
            progress.advance(1)
    pl.concat(matches).write_parquet(folder / "refunds.parquet")
    shutil.rmtree(folder / "spill")
    if any("event_id" in source.columns for source in config.sources):
        check_ids_across_customers(folder, quality.num_events)


def _finish_shard(
    config: IngestConfig, folder: Path, shard: int, fence: float, catalogue: pl.Series | None
) -> tuple[pl.DataFrame, Quality]:
    """Write one shard: without duplicates, in the order of time, with event ids, outliers treated.

    Returns which purchase each refund takes back, and the counts of this shard.
    """
    quality = Quality()
    with pa.memory_map(_spill_file(folder / "spill", shard)) as file:
        rows = pl.from_arrow(pa.ipc.open_stream(file).read_all())
    assert isinstance(rows, pl.DataFrame)
    events = _identified(_without_exact_duplicates(rows, config.sources, quality), quality)
    matches = match_refunds(events)
    events = without_outliers(events, matches, fence, config.outliers, quality)
    if config.outliers.action == "drop":
        matches = matches.join(
            events, left_on="purchase_id", right_on="event_id", how="semi", maintain_order="left"
        )
    # Level 1 takes half the time of 3 and 2 % more room; small row groups let serving look up one customer in 3 ms.
    events.write_parquet(
        shard_path(folder, shard), compression_level=1, row_group_size=ROW_GROUP_ROWS
    )
    quality.set_events(events, num_matched=matches["refund_id"].n_unique())
    if catalogue is not None:
        quality.set_unknown_items(events["item_id"].drop_nulls(), catalogue)
    return matches, quality


def _without_exact_duplicates(
    rows: pl.DataFrame, sources: tuple[Source, ...], quality: Quality
) -> pl.DataFrame:
    """One of each set of equal source rows, where the source asks for it."""
    if not any(source.drop_exact_duplicates for source in sources):
        return rows
    is_first = pl.struct(SOURCE, "customer_id", ROW_HASH).is_first_distinct()
    kept = rows.filter(pl.col(ROW_HASH).is_null() | is_first)
    quality.drop("exact_duplicate", rows.height - kept.height)
    return kept


def _identified(rows: pl.DataFrame, quality: Quality) -> pl.DataFrame:
    """The events sorted by customer and time, rows of the same time in source order, each with an event_id.

    An event without id gets one from its content and, among events of equal content, its number.
    """
    customers = pl.Enum(
        rows["customer_id"].unique().sort()
    )  # sorts as integers, five times faster than as text
    events = rows.sort(pl.col("customer_id").cast(customers), "occurred_at", maintain_order=True)
    is_lacking = events["event_id"].is_null()
    derived = numbered(content_ids(events.filter(is_lacking)), quality)
    ids = (
        derived if is_lacking.all() else events["event_id"].scatter(is_lacking.arg_true(), derived)
    )
    events = events.with_columns(ids.alias("event_id")).select(list(EVENT_SCHEMA))
    return events if is_lacking.all() else without_repeated_ids(events, quality)
