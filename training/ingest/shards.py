"""The shards of the events: rows are spilled into them as they come, then each is finished by itself."""

import logging
import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pyarrow as pa

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import shard_numbers, shard_path
from lifecycle.jobs import Progress
from training.ingest.corrections import without_left_out
from training.ingest.dates import FAR, Span
from training.ingest.event_ids import (
    READ_ORDER,
    OnRepeatedId,
    are_equal_to_earlier,
    check_ids_across_customers,
    content_ids,
    numbered,
    without_repeated_ids,
)
from training.ingest.logged import without_overlaps
from training.ingest.quality.alike_ids import alike_ids
from training.ingest.quality.heavy_customers import HeavyCustomers
from training.ingest.quality.orders.amounts_by_quantity import amounts_by_quantity
from training.ingest.quality.orders.days import at_one_time, given_orders, long_orders, order_days
from training.ingest.quality.orders.dropped import LostOrders, num_kept_in_part
from training.ingest.quality.orders.in_files import orders_of_files, orders_of_sources
from training.ingest.quality.orders.repeated_amounts import (
    repeated_amounts,
    repeated_values,
    with_sums,
)
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.shard_counts import (
    Finished,
    ShardCounts,
    customers_without_purchases,
)
from training.ingest.recipe import IngestConfig
from training.ingest.refunds import CURRENCY_NUMBER, RATE, match_refunds
from training.ingest.rules import FILE, SOURCE, without_outliers
from training.ingest.sources import Table
from training.ingest.spill import spill_file
from training.ingest.tables.batches import ROW_HASH

logger = logging.getLogger(__name__)
TABLE_FILES = {"item_id": "items.parquet", "customer_id": "customers.parquet"}
ROW_GROUP_ROWS = 16_384
SHARDS_AT_A_TIME = 2  # polars and numpy release the interpreter's lock; more would take more memory
IDENTIFIED = [*EVENT_SCHEMA, CURRENCY_NUMBER, RATE, FILE]  # columns until refunds are matched


@dataclass(frozen=True)
class Known:
    """What the first pass found out; ids are None of a table that the recipe does not give."""

    fence: float  # of outliers
    span: Span
    items: pl.Series | None
    customers: pl.Series | None
    lost_orders: LostOrders
    files: tuple[str, ...] = ()  # by number
    sources: tuple[int, ...] = ()  # of these files
    log_file: int | None = None  # the number of the log among them
    shared: frozenset[str] = frozenset()  # ids of more than one customer, which are left out


def _ids(folder: Path, name: str, table: Table | None) -> pl.Series | None:
    return pl.read_parquet(folder / TABLE_FILES[name])[name] if table else None


def finish_shards(
    config: IngestConfig, folder: Path, num_shards: int, span: Span, read: ReadCounts
) -> Finished:
    """Second pass, a few shards at a time: see `_finish_shard`."""
    (folder / "events").mkdir()
    known = Known(
        fence=read.outlier_fence(config.outliers.spread),
        span=span,
        items=_ids(folder, "item_id", config.items),
        customers=_ids(folder, "customer_id", config.customers),
        lost_orders=read.dropped_orders.found(),
        files=tuple(map(str, read.files)),
        sources=tuple(read.sources),
        log_file=None if config.log is None else read.files.get(config.log.file),
    )
    shards = _finished(config, folder, range(num_shards), known)
    customers = HeavyCustomers()
    for shard in shards.values():
        customers.add(shard.counts.heavy)
    heavy = customers.found(config.shared_ids)
    named = {customer.customer_id for customer in heavy}
    for name in config.shared_ids or ():
        if name not in named:
            logger.warning("shared_ids names %r, whom no row has", name)
    shared = [customer.customer_id for customer in heavy if customer.set_apart]
    if shared:
        again = set(shard_numbers(pl.Series(shared), num_shards).to_list())
        shards |= _finished(config, folder, again, replace(known, shared=frozenset(shared)))
    counts = ShardCounts()
    for number in range(num_shards):
        counts.add(shards[number].counts)
    pl.concat([shards[number].matches for number in range(num_shards)]).write_parquet(
        folder / "refunds.parquet"
    )
    shutil.rmtree(folder / "spill")
    if config.log is not None or any("event_id" in each.columns for each in config.sources):
        check_ids_across_customers(folder, counts.num_events)
    alike = alike_ids(counts.id_forms, (shard_path(folder, n) for n in range(num_shards)))
    return Finished(counts, known.fence, tuple(heavy), alike)


@dataclass(frozen=True)
class _Shard:
    """A finished shard: which purchase each refund takes back, and the counts."""

    matches: pl.DataFrame
    counts: ShardCounts


def _finished(
    config: IngestConfig, folder: Path, shards: Collection[int], known: Known
) -> dict[int, _Shard]:
    """The shards of these numbers, written."""
    progress = Progress("shards written", len(shards), "shards")
    finished = {}

    def finish(shard: int) -> _Shard:
        return _finish_shard(config, folder, shard, known)

    with ThreadPoolExecutor(SHARDS_AT_A_TIME) as threads:
        for shard, result in zip(shards, threads.map(finish, shards), strict=True):
            finished[shard] = result
            progress.advance(1)
    return finished


def _finish_shard(config: IngestConfig, folder: Path, shard: int, known: Known) -> _Shard:
    """Write one shard: without duplicates, in the order of time, with event ids, outliers treated."""
    counts = ShardCounts()
    with pa.memory_map(spill_file(folder / "spill", shard)) as file:
        rows = pl.from_arrow(pa.ipc.open_stream(file).read_all())
    assert isinstance(rows, pl.DataFrame)
    rows = without_left_out(rows, config.on_repeated_id, known.span, counts)
    is_shared = pl.col("customer_id").is_in(known.shared)
    counts.account.drop("shared_id", rows.filter(is_shared))
    rows = _without_exact_duplicates(rows.filter(~is_shared), config, counts)
    others = customers_without_purchases(rows, SOURCE)
    rows = _within_span(rows, known.span, counts)
    events = _identified(rows, config.on_repeated_id, counts)
    if config.log is not None and known.log_file is not None:
        events = without_overlaps(events, pl.col(FILE) == known.log_file, config.log, counts)
    matches = match_refunds(events)
    events = events.select(*EVENT_SCHEMA, FILE)
    events = without_outliers(events, matches, known.fence, config.outliers, counts)
    if config.outliers.action == "drop":
        matches = matches.join(
            events, left_on="purchase_id", right_on="event_id", how="semi", maintain_order="left"
        )
    # Level 1 takes half the time of 3 and 2 % more room; small row groups let serving look up one customer in 3 ms.
    events.select(list(EVENT_SCHEMA)).write_parquet(
        shard_path(folder, shard), compression_level=1, row_group_size=ROW_GROUP_ROWS
    )
    by_day = order_days(events, FILE)
    orders = given_orders(by_day)
    counts.long_orders = long_orders(orders)
    counts.orders_of_files = orders_of_files(events, orders, FILE, known.files)
    counts.repeated_amounts = repeated_amounts(events, orders)
    counts.repeated_values = repeated_values(events)
    counts.at_one_time = at_one_time(events, orders)
    counts.with_sums = with_sums(by_day)
    counts.amounts_by_quantity = amounts_by_quantity(events)
    if len(set(known.sources)) > 1:
        counts.orders_of_sources = orders_of_sources(events, FILE, known.sources)
    events = events.select(list(EVENT_SCHEMA))
    num_matched = matches["refund_id"].n_unique()
    counts.set_events(events, by_day, num_matched, config.shared_ids)
    if len(config.source_names) > 1:
        counts.count_sources(others, by_day["customer_id"].unique())
    counts.orders_half_dropped = num_kept_in_part(known.lost_orders, events["order_id"])
    if known.items is not None:
        counts.match_items(events["item_id"].drop_nulls(), known.items)
    if known.customers is not None:
        counts.match_customers(events["customer_id"], known.customers)
    return _Shard(matches, counts)


def _without_exact_duplicates(
    rows: pl.DataFrame, config: IngestConfig, counts: ShardCounts
) -> pl.DataFrame:
    """One of each set of equal source rows, where the source asks for it and no rule decides by ids.

    Of a correction that is taken back the last row equals the first, and is the one that holds.
    """
    if not any(source.drop_exact_duplicates for source in config.sources):
        return rows
    is_exempt = pl.col(ROW_HASH).is_null()
    if config.on_repeated_id != "error":
        is_exempt |= pl.col("event_id").is_not_null()
    is_first = pl.struct(SOURCE, "customer_id", ROW_HASH).is_first_distinct()
    is_kept = rows.select(is_exempt | is_first).to_series()
    counts.account.drop("exact_duplicate", rows.filter(~is_kept))
    return rows.filter(is_kept)


def _within_span(rows: pl.DataFrame, span: Span, counts: ShardCounts) -> pl.DataFrame:
    """The rows but for those whose dates are set apart, which are counted with what they would have brought."""
    with_reason = rows.with_columns(span.reason().alias("reason"))
    left_out = with_reason.drop_nulls("reason")
    for (reason,), part in left_out.group_by("reason"):
        counts.account.drop(str(reason), part)
    counts.add_far_dates(left_out.filter(pl.col("reason") == FAR))
    return with_reason.filter(pl.col("reason").is_null()).drop("reason")


def _identified(rows: pl.DataFrame, rule: OnRepeatedId, counts: ShardCounts) -> pl.DataFrame:
    """The events sorted by customer and time, rows of the same time in source order, each with an event_id.

    An event without id gets one from its content and, among events of equal content, its number.
    """
    # Sorts as integers, five times faster than as text.
    customers = pl.Enum(rows["customer_id"].unique().sort())
    by_customer = pl.col("customer_id").cast(customers)
    events = rows.with_row_index(READ_ORDER).sort(by_customer, "occurred_at", maintain_order=True)
    is_lacking = events["event_id"].is_null()
    if is_lacking.all():
        ids = numbered(content_ids(events))
        counts.add_equal(events.filter(are_equal_to_earlier(ids)))
        return events.with_columns(ids.alias("event_id")).select(IDENTIFIED)
    without_id = events.filter(is_lacking)
    ids = numbered(content_ids(without_id))
    counts.add_equal(without_id.filter(are_equal_to_earlier(ids)))
    all_ids = events["event_id"].scatter(is_lacking.arg_true(), ids)
    events = events.with_columns(all_ids.alias("event_id"))
    return without_repeated_ids(events, rule, counts).select(IDENTIFIED)
