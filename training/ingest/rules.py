"""Stated rules for missing values, signs and outliers: parsed rows to event rows that later stages can trust."""

from typing import Literal

import polars as pl
from pydantic import Field

from lifecycle.config import Config
from lifecycle.events.schema import EVENT_SCHEMA, KINDS, MAX_PLAN_DAYS, MIN_PLAN_DAYS, is_purchase
from training.ingest.quality.account import money_of
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.shard_counts import ShardCounts
from training.ingest.refunds import CURRENCY_NUMBER, RATE
from training.ingest.signs import check_cost_signs, warn_of_signs
from training.ingest.sources import VERSION, Source, where
from training.ingest.tables.batches import ROW_HASH, ParsedRows
from training.ingest.tables.rows import ROW

SOURCE = "__source"
FILE = "__file"  # number of the file, over all sources
ERASED = "erased"  # the reason by which rows of erased customers are left out
IS_LEFT_OUT = "__is_left_out"  # of rows that stand for their version alone, see `corrections`
NOTHING = 1e-9  # what is left of 3 * .15 - .45
NOTHING_NEGATIVE = 1e-6  # of a purchase: what floats leave of billions, less than any coin
SPILL_SCHEMA = pl.Schema(
    {
        **EVENT_SCHEMA,
        VERSION: pl.Float64(),
        ROW_HASH: pl.UInt64(),
        SOURCE: pl.UInt16(),
        FILE: pl.UInt32(),
        IS_LEFT_OUT: pl.Boolean(),
        CURRENCY_NUMBER: pl.UInt16(),
        RATE: pl.Float64(),
    }
)


class MissingRules(Config):
    """What happens to rows without a value. Rows without customer or time are always dropped and counted."""

    # Of purchases, renewals and refunds; rows of a source whose recipe maps no amount at all are not dropped.
    amount: Literal["drop", "zero", "error"] = "drop"


class OutlierRules(Config):
    """Purchases more than `spread` interquartile ranges of log amount above the third quartile are outliers.

    So are unmatched refunds of more than that. Tukey's far-out fence lies at 3. Clipping sets them
    to the fence; what takes back a clipped or dropped purchase shrinks or goes with it.
    """

    action: Literal["flag", "clip", "drop"] = "flag"
    spread: float = Field(3.0, gt=0)


def checked_rows(
    batch: ParsedRows, source: Source, missing: MissingRules, counts: ReadCounts
) -> pl.DataFrame:
    """The rows of a batch that have a customer, a time, a known kind, and an amount of the right sign.

    Raises ValueError with file, row and value for an unknown kind or a purchase of negative amount.
    """
    _check_kinds(batch, source)
    rows = batch.rows
    for name in ("customer_id", "occurred_at"):
        kept = rows.drop_nulls(name)
        counts.leave_out(f"missing_{name}", rows.filter(pl.col(name).is_null()))
        rows = kept
    check_cost_signs(rows, batch.file, source, counts)
    warn_of_signs(rows, batch.file, source, counts)
    _check_plans(rows, batch, source)
    if "amount" not in rows.columns and missing.amount == "drop":
        return rows  # a source of interactions: recommenders can be made of it, values cannot
    if "amount" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, dtype=pl.Float64).alias("amount"))
    rows = _with_amounts(rows, batch, source, missing, counts)
    is_free = is_purchase() & pl.col("amount").is_between(-NOTHING_NEGATIVE, 0.0)
    is_nothing = (pl.col("amount").abs() < NOTHING) | is_free
    rows = rows.with_columns(pl.when(is_nothing).then(0.0).otherwise("amount").alias("amount"))
    _check_signs(rows, batch, source)
    _check_quantities(rows, batch, source)
    takes_back = (pl.col("kind") == "refund") & (pl.col("amount") > 0)
    negated = pl.when(takes_back).then(-pl.col("amount")).otherwise("amount")
    return rows.with_columns(negated.alias("amount"))


def _with_amounts(
    rows: pl.DataFrame,
    batch: ParsedRows,
    source: Source,
    missing: MissingRules,
    counts: ReadCounts,
) -> pl.DataFrame:
    """The rows by the rule for those that need an amount and have none."""
    needs_amount = is_purchase() | (pl.col("kind") == "refund")
    lacking = rows.filter(needs_amount & pl.col("amount").is_null())
    if lacking.is_empty():
        return rows
    if missing.amount == "error":
        place = where(source, batch.file, lacking[ROW][0])
        raise ValueError(f"{place}: amount is missing (missing.amount: error)")
    if missing.amount == "drop":
        counts.leave_out("missing_amount", lacking)
        return rows.filter(~needs_amount | pl.col("amount").is_not_null())
    counts.num_amounts_as_zero += lacking.height
    filled = pl.when(needs_amount).then(pl.col("amount").fill_null(0.0)).otherwise("amount")
    return rows.with_columns(filled)


def _check_kinds(batch: ParsedRows, source: Source) -> None:
    unknown = ~batch.rows["kind"].is_in(KINDS).fill_null(False)
    index = unknown.arg_max() if unknown.any() else None
    if index is not None:
        place = where(source, batch.file, batch.rows[ROW][index])
        value = batch.rows["kind"][index]
        raise ValueError(f"{place}: kind is {value!r}; kinds are {', '.join(KINDS)}")


def _check_signs(rows: pl.DataFrame, batch: ParsedRows, source: Source) -> None:
    negative = rows.filter(is_purchase() & (pl.col("amount") < 0)).head(1)
    for row, kind, amount in negative.select(ROW, "kind", "amount").iter_rows():
        raise ValueError(
            f"{where(source, batch.file, row)}: amount is {amount} for a {kind}, which needs 0 or more; "
            "say in `kind` which rows are refunds"
        )


def _check_quantities(rows: pl.DataFrame, batch: ParsedRows, source: Source) -> None:
    if "quantity" not in rows.columns:
        return
    odd = rows.filter(is_purchase() & (pl.col("quantity") < 0) & (pl.col("amount") > 0)).head(1)
    for row, kind, quantity, amount in odd.select(ROW, "kind", "quantity", "amount").iter_rows():
        raise ValueError(
            f"{where(source, batch.file, row)}: quantity is {quantity} for a {kind} of {amount}; "
            "say in `kind` which rows are refunds"
        )


def _check_plans(rows: pl.DataFrame, batch: ParsedRows, source: Source) -> None:
    if "plan_days" not in rows.columns:
        return
    is_odd = ~pl.col("plan_days").is_between(MIN_PLAN_DAYS, MAX_PLAN_DAYS)
    for row, days in rows.filter(is_odd).head(1).select(ROW, "plan_days").iter_rows():
        raise ValueError(
            f"{where(source, batch.file, row)}: plan_days is {days}; a payment covers {MIN_PLAN_DAYS:g} to "
            f"{MAX_PLAN_DAYS:g} days, and is left empty where it is for no plan"
        )


def event_rows(rows: pl.DataFrame, source_number: int, file_number: int = 0) -> pl.DataFrame:
    """The columns of SPILL_SCHEMA, absent ones null; discounts and costs positive whichever sign the shop uses."""
    columns = []
    for name, dtype in SPILL_SCHEMA.items():
        if name == SOURCE:
            column = pl.lit(source_number)
        elif name == FILE:
            column = pl.lit(file_number)
        elif name not in rows.columns:
            column = pl.lit(None)
        else:
            column = pl.col(name).abs() if name in ("discount", "cost") else pl.col(name)
        columns.append(column.cast(dtype).alias(name))
    return rows.select(columns)


def without_outliers(
    events: pl.DataFrame,
    matches: pl.DataFrame,
    fence: float,
    rules: OutlierRules,
    counts: ShardCounts,
) -> pl.DataFrame:
    """Apply the outlier rule to purchases above `fence`, and to refunds by what they take back (`match_refunds`)."""
    is_matched = pl.col("event_id").is_in(matches["refund_id"].implode())
    is_large_refund = (pl.col("kind") == "refund") & (pl.col("amount") < -fence) & ~is_matched
    is_large_purchase = is_purchase() & (pl.col("amount") > fence)
    is_outlier = is_large_purchase | is_large_refund
    num_outliers = events.select(is_outlier.fill_null(False).sum()).item()
    counts.num_outliers += num_outliers
    if num_outliers:
        counts.outlier_revenue += float(events.filter(is_large_purchase)["amount"].sum())
    if num_outliers == 0 or rules.action == "flag":
        return events
    kept = fence / pl.col("amount").abs() if rules.action == "clip" else pl.lit(0.0)
    shares = events.select("event_id", kept_share=pl.when(is_outlier).then(kept).otherwise(1.0))
    matched = matches.join(shares, left_on="purchase_id", right_on="event_id")
    with_purchase = (pl.col("refund_share") * pl.col("kept_share")).sum().alias("with_purchase")
    of_refunds = matched.group_by(event_id="refund_id").agg(with_purchase)
    share = pl.coalesce("with_purchase", "kept_share")
    amount = pl.when(share < 1.0).then(pl.col("amount") * share).otherwise("amount")
    treated = (
        events.with_columns(shares["kept_share"], given=pl.col("amount"))
        .join(of_refunds, on="event_id", how="left", maintain_order="left")
        .with_columns(amount.alias("amount"), is_kept=share > 0.0)
    )
    left_out = pl.col("given") - pl.when("is_kept").then("amount").otherwise(0.0)
    money = money_of(treated.select("kind", amount=left_out))
    num_rows = int((~treated["is_kept"]).sum())
    counts.account.enter(
        "outlier", money.model_copy(update={"rows": num_rows, "without_amount": 0})
    )
    return treated.filter("is_kept").select(events.columns)
