"""Stated rules for missing values, signs and outliers: parsed rows to event rows that later stages can trust."""

from typing import Literal

import polars as pl
from pydantic import Field

from lifecycle.config import Config
from lifecycle.events.schema import EVENT_SCHEMA, KINDS, REVENUE_KINDS
from training.ingest.batches import ROW, ROW_HASH, Batch
from training.ingest.quality import Quality
from training.ingest.sources import Source, where

SOURCE = "__source"
SPILL_SCHEMA = pl.Schema({**EVENT_SCHEMA, ROW_HASH: pl.UInt64(), SOURCE: pl.UInt16()})


class MissingRules(Config):
    """What happens to rows without a value. Rows without customer or time are always dropped and counted."""

    amount: Literal["drop", "zero", "error"] = (
        "drop"  # of purchases, renewals and refunds; rows of a source whose
    )
    # recipe maps no amount at all are not dropped


class OutlierRules(Config):
    """Purchases more than `spread` interquartile ranges of log amount above the third quartile are outliers.

    So are unmatched refunds of more than that. Tukey's far-out fence lies at 3. Clipping sets them
    to the fence; what takes back a clipped or dropped purchase shrinks or goes with it.
    """

    action: Literal["flag", "clip", "drop"] = "flag"
    spread: float = Field(3.0, gt=0)


def checked_rows(
    batch: Batch, source: Source, missing: MissingRules, quality: Quality
) -> pl.DataFrame:
    """The rows of a batch that have a customer, a time, a known kind, and an amount of the right sign.

    Raises ValueError with file, row and value for an unknown kind or a purchase of negative amount.
    """
    _check_kinds(batch, source)
    rows = batch.rows
    for name in ("customer_id", "occurred_at"):
        kept = rows.drop_nulls(name)
        quality.drop(f"missing_{name}", rows.height - kept.height)
        rows = kept
    needs_amount = pl.col("kind").is_in([*REVENUE_KINDS, "refund"])
    if "amount" not in rows.columns and missing.amount == "drop":
        return rows  # a source of interactions: recommenders can be made of it, values cannot
    if "amount" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, dtype=pl.Float64).alias("amount"))
    lacking = rows.filter(needs_amount & pl.col("amount").is_null())
    if lacking.height and missing.amount == "error":
        raise ValueError(
            f"{where(source, batch.file, lacking[ROW][0])}: amount is missing (missing.amount: error)"
        )
    if lacking.height and missing.amount == "drop":
        rows = rows.filter(~needs_amount | pl.col("amount").is_not_null())
        quality.drop("missing_amount", lacking.height)
    elif lacking.height:
        rows = rows.with_columns(
            pl.when(needs_amount).then(pl.col("amount").fill_null(0.0)).otherwise("amount")
        )
    _check_signs(rows, batch, source)
    takes_back = (pl.col("kind") == "refund") & (pl.col("amount") > 0)
    return rows.with_columns(
        pl.when(takes_back).then(-pl.col("amount")).otherwise("amount").alias("amount")
    )


def _check_kinds(batch: Batch, source: Source) -> None:
    unknown = ~batch.rows["kind"].is_in(KINDS).fill_null(False)
    index = unknown.arg_max() if unknown.any() else None
    if index is not None:
        row, value = batch.rows[ROW][index], batch.rows["kind"][index]
        raise ValueError(
            f"{where(source, batch.file, row)}: kind is {value!r}; kinds are {', '.join(KINDS)}"
        )


def _check_signs(rows: pl.DataFrame, batch: Batch, source: Source) -> None:
    negative = rows.filter(pl.col("kind").is_in(REVENUE_KINDS) & (pl.col("amount") < 0)).head(1)
    for row, kind, amount in negative.select(ROW, "kind", "amount").iter_rows():
        raise ValueError(
            f"{where(source, batch.file, row)}: amount is {amount} for a {kind}, which needs 0 or more; "
            "say in `kind` which rows are refunds"
        )


def event_rows(rows: pl.DataFrame, source_number: int) -> pl.DataFrame:
    """The columns of SPILL_SCHEMA, absent ones null; discounts and costs positive whichever sign the shop uses."""
    columns = []
    for name, dtype in SPILL_SCHEMA.items():
        if name == SOURCE:
            column = pl.lit(source_number)
        elif name not in rows.columns:
            column = pl.lit(None)
        else:
            column = pl.col(name).abs() if name in ("discount", "cost") else pl.col(name)
        columns.append(column.cast(dtype).alias(name))
    return rows.select(columns)


def without_outliers(
    events: pl.DataFrame, matches: pl.DataFrame, fence: float, rules: OutlierRules, quality: Quality
) -> pl.DataFrame:
    """Apply the outlier rule to purchases above `fence`, and to refunds by what they take back (`match_refunds`)."""
    is_matched = pl.col("event_id").is_in(matches["refund_id"].implode())
    is_large_refund = (pl.col("kind") == "refund") & (pl.col("amount") < -fence) & ~is_matched
    is_outlier = (
        pl.col("kind").is_in(REVENUE_KINDS) & (pl.col("amount") > fence)
    ) | is_large_refund
    num_outliers = events.select(is_outlier.fill_null(False).sum()).item()
    quality.num_outliers += num_outliers
    if num_outliers == 0 or rules.action == "flag":
        return events
    kept = fence / pl.col("amount").abs() if rules.action == "clip" else pl.lit(0.0)
    shares = events.select("event_id", kept_share=pl.when(is_outlier).then(kept).otherwise(1.0))
    of_refunds = (
        matches.join(shares, left_on="purchase_id", right_on="event_id")
        .group_by(pl.col("refund_id").alias("event_id"))
        .agg((pl.col("refund_share") * pl.col("kept_share")).sum().alias("with_purchase"))
    )
    share = pl.coalesce("with_purchase", "kept_share")
    treated = (
        events.with_columns(shares["kept_share"])
        .join(of_refunds, on="event_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(share < 1.0).then(pl.col("amount") * share).otherwise("amount").alias("amount")
        )
        .filter(share > 0.0)
        .select(events.columns)
    )
    quality.drop("outlier", events.height - treated.height)
    return treated
