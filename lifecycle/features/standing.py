"""Where customers stand by what they said and paid: trials, plans paid for, pauses, cancellations.

Numbers apart from FEATURES, which no model reads: the rules of `lifecycle.value.standing` do.
"""

import polars as pl

from lifecycle.events.history import DAYS_PER_SECOND, KEYS, known_at
from lifecycle.events.schema import STANDING_KINDS, is_purchase

CANCELLED = "cancelled"
PAUSED = "paused"
PAID = "paid"
OVERDUE = "overdue"
STANDING = (  # days before the cutoff, null where there is no such thing
    "trial_days",  # since the latest trial
    "cancelled_days",  # since the latest cancellation, unless the customer came back since
    "paused_days",  # since the latest pause, unless it ended since
    "plan_days",  # that the latest payment for a plan covers
    "plan_paid_days",  # since that payment
    "plan_days_left",  # until the next payment is due, pauses put off; below 0 where it is overdue
    "plan_amount",  # of the latest payment for a plan, in currency
    "num_plan_payments",
)
LATEST = {  # column: the kinds of which it has the latest instant
    "trialled": ["trial"],
    "cancelled": ["cancellation"],
    "paused": ["pause"],
    "resumed": ["resume"],
}


def standings(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """The columns STANDING as float64, one row per (customer_id, cutoff) of `cutoffs`, in its order.

    A purchase, renewal, trial or resume after a cancellation takes it back. All but a trial end a
    pause, and so does a cancellation.
    """
    told = ("cancellation", *STANDING_KINDS)
    is_told = pl.col("kind").is_in(told)
    is_paid = is_purchase()
    # Of series, since a query takes longest of all for one customer.
    has_plan = (events["plan_days"] > 0).any()
    if not has_plan and not {*told} & {*events["kind"].unique()}:
        nothing = pl.Series([None] * len(cutoffs), dtype=pl.Float64)
        return pl.DataFrame([nothing.alias(name) for name in STANDING])
    known = known_at(
        events.filter(is_told | is_paid).select("customer_id", "occurred_at", "kind"), cutoffs
    )
    moments = known.group_by(KEYS).agg(
        *(_latest(pl.col("kind").is_in(kinds)).alias(name) for name, kinds in LATEST.items()),
        _latest(is_paid).alias("bought"),
    )
    found = (
        cutoffs.select(KEYS)
        .join(moments, on=KEYS, how="left", maintain_order="left")
        .join(_latest_payments(events, cutoffs), on=KEYS, how="left", maintain_order="left")
    )
    back = pl.max_horizontal("bought", "trialled", "resumed")
    pause_end = pl.max_horizontal("bought", "resumed", "cancelled")
    return found.with_columns(
        trial_days=_days_since("trialled"),
        cancelled_days=pl.when(_is_open("cancelled", back)).then(_days_since("cancelled")),
        paused_days=pl.when(_is_open("paused", pause_end)).then(_days_since("paused")),
        plan_paid_days=_days_since("paid"),
        plan_days_left=pl.col("plan_days") - _days_since("paid") + _days_put_off(),
    ).select(pl.col(name).cast(pl.Float64) for name in STANDING)


def _latest(is_one: pl.Expr) -> pl.Expr:
    return pl.col("occurred_at").filter(is_one).max()


def _is_open(moment: str, end: pl.Expr) -> pl.Expr:
    """Whether something happened, and nothing later ended it."""
    return pl.col(moment).is_not_null() & (end.is_null() | (end <= pl.col(moment)))


def _days_since(moment: str) -> pl.Expr:
    return (pl.col("cutoff") - pl.col(moment)).dt.total_seconds() * DAYS_PER_SECOND


def _days_put_off() -> pl.Expr:
    """How long the latest pause since the payment lasted, where it is over: nothing was due meanwhile."""
    is_over = (pl.col("paused") >= pl.col("paid")) & (pl.col("resumed") > pl.col("paused"))
    length = (pl.col("resumed") - pl.col("paused")).dt.total_seconds() * DAYS_PER_SECOND
    return pl.when(is_over).then(length).otherwise(0.0)


def plan_payments(events: pl.DataFrame) -> pl.DataFrame:
    """Payments for plans by customer_id and occurred_at, oldest first, with plan_days and the sum of amounts."""
    lines = events.filter(is_purchase() & (pl.col("plan_days") > 0))
    return (
        lines.group_by("customer_id", "occurred_at")
        .agg(pl.col("plan_days").max(), pl.col("amount").sum())
        .sort("customer_id", "occurred_at")
    )


def _latest_payments(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    known = known_at(plan_payments(events), cutoffs).sort(*KEYS, "occurred_at")
    return known.group_by(KEYS).agg(
        pl.col("occurred_at").last().alias("paid"),
        pl.col("plan_days").last(),
        pl.col("amount").last().alias("plan_amount"),
        pl.len().alias("num_plan_payments"),
    )
