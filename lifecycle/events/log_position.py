"""Up to where an ingest folder contains a log of events, and which of log and export holds where both tell an order."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.folders import Stored

IN_EXPORT = "overlap_export_holds"  # an event of the log that the export tells, too, and holds
IN_LOG = "overlap_log_holds"  # the other way round
UNDECIDED = "undecided"  # nobody said which holds
COINS = 4  # decimals to which amounts are compared: converted ones differ in their last digits


class LogPosition(Stored):
    """The log of this identity is contained up to and with this sequence number."""

    identity: str
    sequence: int
    export_holds_until: dict[str, date] = {}  # by kind; after that day the log holds


def overlap(is_log: pl.Expr, export_holds_until: Mapping[str, date]) -> pl.Expr:
    """Of each event why it is told twice and does not hold: IN_EXPORT, IN_LOG, UNDECIDED; null where it holds.

    Log and export tell the same event where customer, kind, order, item, amount and day of the
    shop are equal, missing ones too; of several alike as many are as both have. What is left of the
    events that name no order is the same as those of the other side that name any.
    """
    day = pl.coalesce("shop_day", pl.col("occurred_at").dt.date())
    same = [pl.col(name) for name in ("customer_id", "kind", "item_id")]
    same += [pl.col("amount").round(COINS), day]
    by_order = _is_told_twice(is_log, [*same, pl.col("order_id")])
    is_nameless_in = (
        is_log == pl.col("order_id").is_null()
    )  # true: in the log; false: in the export
    is_told_twice = by_order | _is_told_twice(is_log, [*same, by_order, is_nameless_in])
    kinds = list(export_holds_until)
    days = list(export_holds_until.values())
    until = pl.col("kind").replace_strict(kinds, days, default=None, return_dtype=pl.Date())
    is_exports = day <= until
    reason = (
        pl.when(until.is_null())
        .then(pl.lit(UNDECIDED))
        .when(is_log & is_exports)
        .then(pl.lit(IN_EXPORT))
        .when(~is_log & ~is_exports)
        .then(pl.lit(IN_LOG))
    )
    return pl.when(is_told_twice).then(reason)


def _is_told_twice(is_log: pl.Expr, same: list[pl.Expr]) -> pl.Expr:
    """Whether log and export both have an event, by what is the same of them."""
    copy = pl.int_range(pl.len()).over(*same, is_log)
    return is_log.n_unique().over(*same, copy) > 1


def with_later(own: pl.DataFrame, later: pl.DataFrame, position: LogPosition) -> pl.DataFrame:
    """A customer's events of an ingest folder with those that came later, each once.

    Where nobody said which holds, which an ingest of both asks, the folder does: both tell the same.
    """
    fresh = later.join(own, on="event_id", how="anti", maintain_order="left")
    rows = pl.concat([own, fresh]).with_row_index("row")
    is_later = pl.col("row") >= own.height
    reason = overlap(is_later, position.export_holds_until)
    is_undecided = (reason == UNDECIDED) & is_later
    does_not_hold = (reason.is_in([IN_EXPORT, IN_LOG]) | is_undecided).fill_null(False)
    held = rows.filter(~does_not_hold).select(EVENT_SCHEMA.names())
    return held.sort("occurred_at", maintain_order=True)
