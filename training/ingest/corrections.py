"""Corrected rows: the version that holds may be one that a filter, a missing amount or a missing date leaves out."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest.dates import Span
from training.ingest.event_ids import READ_ORDER, OnRepeatedId
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.shard_counts import ShardCounts
from training.ingest.recipe import IngestConfig
from training.ingest.rules import IS_LEFT_OUT
from training.ingest.sources import VERSION, Source
from training.ingest.tables.batches import ParsedRows
from training.ingest.tables.event_columns import VERSIONED
from training.ingest.tables.rows import ROW

logger = logging.getLogger(__name__)


def are_corrected(config: IngestConfig, source: Source) -> bool:
    """Whether rows of a source may replace others, by the recipe."""
    return config.on_repeated_id != "error" and "event_id" in source.columns


def warn_of_order(files: Sequence[Path], read: ReadCounts, rule: OnRepeatedId) -> None:
    """Say where rows that are read later seem to be earlier ones: in a file, or of two files by their names."""
    for file in files:
        if file in read.newest_first and rule == "latest":
            logger.warning(
                "rows of one event_id go by their order, and %s has its newest rows first; map the column `version`, "
                "or say on_repeated_id: first",
                file,
            )
            return
    for one, other in pairwise(file for file in files if file in read.times):
        first, last = read.times[one]
        other_first, other_last = read.times[other]
        if other_first < first and other_last < last:
            logger.warning(
                "rows of one event_id go by the names of files, and %s comes before %s, whose rows begin and end "
                "earlier; map the column `version`, or name files by their date, as 2024-01-31",
                one,
                other.name,
            )
            return


def with_left_out(rows: pl.DataFrame, batch: ParsedRows) -> pl.DataFrame:
    """The rows of a batch that are kept, and between them what all others have of VERSIONED, as they were read."""
    dropped = batch.rows.join(rows, on=ROW, how="anti")
    parts = [dropped, *batch.left_out.values()]
    names = [ROW, *(name for name in VERSIONED if name in batch.rows.columns)]
    found = [part.select(names) for part in parts if part.height]
    if not found:
        return rows
    others = pl.concat(found)
    known = others.drop_nulls(["customer_id", "event_id"])
    told = known.with_columns(pl.lit(True).alias(IS_LEFT_OUT))
    return pl.concat([rows, told], how="diagonal").sort(ROW)


def without_left_out(
    rows: pl.DataFrame, rule: OnRepeatedId, span: Span, counts: ShardCounts
) -> pl.DataFrame:
    """The kept rows of a shard, but for those whose version that holds was left out, or will be by its date."""
    is_left_out = pl.col(IS_LEFT_OUT).fill_null(False)
    if rule == "error":
        return rows.drop(IS_LEFT_OUT)
    rows = rows.with_row_index(READ_ORDER)
    kept = rows.filter(~is_left_out).drop(IS_LEFT_OUT)
    ordered = rows.filter(pl.col("event_id").is_not_null())
    held = ordered.sort(VERSION, READ_ORDER, maintain_order=True).unique(
        "event_id", keep="last" if rule == "latest" else "first", maintain_order=True
    )
    is_far = span.reason().is_not_null()
    lost = held.filter(is_left_out | is_far)
    again = kept.filter(pl.col("event_id").is_in(lost["event_id"].implode()))
    # Copies of a row whose date is left out are counted under it, as that row is.
    far = lost.filter(~is_left_out)
    same = again.join(far, on=list(EVENT_SCHEMA), how="semi", nulls_equal=True)
    replaced = again.join(same, on=READ_ORDER, how="anti")
    counts.account.drop("replaced_event_id", replaced)
    return kept.join(replaced, on=READ_ORDER, how="anti", maintain_order="left").drop(READ_ORDER)
