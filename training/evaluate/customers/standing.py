"""What customers did who had cancelled, paused or paid for a plan, as far as it was known at a cutoff."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.order_days import MICROSECONDS_PER_DAY
from lifecycle.events.shards import scan_shard, shard_paths
from lifecycle.features.standing import PAID, plan_payments
from lifecycle.value.said import heeded_spend
from lifecycle.value.standing import (
    GRACE_SHARE,
    MIN_GRACE_DAYS,
    PRIOR_RETURNS,
    ReturnDefaults,
    Standings,
    fit_renewals,
    fit_returns,
    plan_class,
    standing_of,
)
from training.evaluate.value.windows import ExampleSets

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WindowStandings:
    """The rules of each window by what was known at its cutoff; None where there is no such window."""

    test: Standings
    backtest: Standings | None = None
    same_season: Standings | None = None


def fit_window_standings(
    data: Path, sets: ExampleSets, defaults: ReturnDefaults
) -> WindowStandings:
    """`fit_standings` of the test and of the windows before it."""

    def of(window: ExampleSets | None) -> Standings | None:
        return None if window is None else fit_standings(data, window, defaults)

    test = fit_standings(data, sets, defaults)
    return WindowStandings(test, of(sets.backtest), of(sets.same_season))


def fit_standings(data: Path, sets: ExampleSets, defaults: ReturnDefaults) -> Standings:
    """From training rows, whose outcomes were known at the cutoff of the test rows, and payments due by then."""
    train = sets.train
    horizon_days = sets.horizon_days
    counts = plan_counts(data, sets.test["cutoff"][0])
    left = int((counts["due"] - counts["renewed"]).sum())
    rules = Standings(
        returns=fit_returns(train, defaults, horizon_days),
        renewals=fit_renewals(counts),
        announced=(int(counts["announced"].sum()) + 1) / (left + 2),
        paid_ratio=1.0,
    )
    paid = train.filter(standing_of(train) == PAID)
    if paid.is_empty():
        return rules
    before = sets.test["cutoff"][0].date()
    due = int(counts["due"].sum())
    logger.info("plans: %d payments were due before %s, %d not renewed", due, before, left)
    expected = heeded_spend(rules, paid, np.zeros(paid.height), horizon_days)
    usual = PRIOR_RETURNS * float(paid["plan_amount"].sum()) / paid.height
    if usual == 0.0:
        return rules
    ratio = (float(paid["target"].sum()) + usual) / (float(expected.sum()) + usual)
    return replace(rules, paid_ratio=ratio)


def plan_counts(data: Path, before: datetime) -> pl.DataFrame:
    """`count_payments` of all customers."""
    parts = [count_payments(scan_shard(path), before) for path in shard_paths(data)]
    columns = ["due", "renewed", "announced"]
    return pl.concat(parts).group_by("plan_class", "number").agg(pl.col(columns).sum())


def count_payments(shard: pl.LazyFrame, before: datetime) -> pl.DataFrame:
    """By plan_class and number of a customer's payment: how many were due, renewed, and left with a cancellation.

    A payment counts once its grace is over before the instant. Those with a pause on the way do
    not: nothing was due.
    """
    columns = ["customer_id", "occurred_at", "kind", "amount", "plan_days"]
    known = shard.select(columns).filter(pl.col("occurred_at") < before)
    is_told = pl.col("kind").is_in(["cancellation", "pause"])
    events = known.filter(is_told | (pl.col("plan_days") > 0)).collect()
    payments = plan_payments(events).sort("occurred_at")
    for kind in ("cancellation", "pause"):
        moments = events.filter(pl.col("kind") == kind).select(
            "customer_id", pl.col("occurred_at").alias(kind)
        )
        payments = payments.join_asof(
            moments.sort(kind),
            left_on="occurred_at",
            right_on=kind,
            by="customer_id",
            strategy="forward",
            check_sortedness=False,  # sorted above
        )
    grace = (GRACE_SHARE * pl.col("plan_days")).clip(MIN_GRACE_DAYS)
    wait = ((pl.col("plan_days") + grace) * MICROSECONDS_PER_DAY).cast(pl.Int64)
    ordered = payments.sort("customer_id", "occurred_at")
    decided = ordered.with_columns(
        deadline=pl.col("occurred_at") + wait.cast(pl.Duration("us")),
        number=pl.int_range(1, pl.len() + 1).over("customer_id"),
        next=pl.col("occurred_at").shift(-1).over("customer_id"),
        plan_class=pl.Series(plan_class(ordered["plan_days"].to_numpy()), dtype=pl.Int64),
    ).filter(
        (pl.col("deadline") < before) & ~(pl.col("pause") < pl.col("deadline")).fill_null(False)
    )
    is_renewed = (pl.col("next") <= pl.col("deadline")).fill_null(False)
    is_announced = (pl.col("cancellation") <= pl.col("deadline")).fill_null(False) & ~is_renewed
    return decided.group_by("plan_class", "number").agg(
        due=pl.len().cast(pl.Int64),
        renewed=is_renewed.sum().cast(pl.Int64),
        announced=is_announced.sum().cast(pl.Int64),
    )
