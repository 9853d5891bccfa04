"""BTYD models with today's parameters, asked at the beginning of earlier months what to expect, and what came."""

from collections import Counter
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.btyd.model import Btyd, btyd_curve, btyd_order_value
from lifecycle.events.gaps import Gap, gaps_of
from lifecycle.events.history import with_cancellations
from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import read_shard, scan_shard, shard_paths
from lifecycle.features.numbers import BTYD_SUMMARY
from lifecycle.jobs import Progress
from training.evaluate.season.clock import Clock
from training.prepare.recipe import YEAR_DAYS

TWELFTH_DAYS = YEAR_DAYS / 12
MIN_AGE_DAYS = 45  # of the shop at the earliest cutoff


def backcast(days: pl.DataFrame, btyd: Btyd, clock: Clock | None = None) -> pl.DataFrame:
    """A row per twelfth of a year of `order_days`, oldest first: years, expected, actual, buyers, variance.

    `years` is the time of its middle from the cutoff, negative. At the beginning of each the model
    sees what was known of the customers then, but for cancellations, which count as they were known
    at the cutoff. It reads times on `clock`; what it expects is of a month in which that shows a day
    a day. `variance` is that of the logarithm of `actual`, from how far customers are from what was
    expected of them.
    """
    starts = starts_of(-int(days["day"].to_numpy().min()))
    return pl.DataFrame(
        [_month(days, btyd, start, end, clock) for start, end in pairwise((*starts, 0))]
    )


def starts_of(age: int) -> list[int]:
    """On which days months began in a shop of `age` days that was old enough: negative, oldest first."""
    num_months = int((age - MIN_AGE_DAYS) / TWELFTH_DAYS)
    return [-round(number * TWELFTH_DAYS) for number in range(num_months, 0, -1)]


def latest_gap(data: Path, cutoff: datetime) -> Gap | None:
    """The latest stretch of weeks before a cutoff without a purchase that no other year is known to have, too."""
    orders: Counter[date] = Counter()
    for path in shard_paths(data):
        known = scan_shard(path).filter(is_purchase() & (pl.col("occurred_at") < cutoff))
        by_day = known.group_by(pl.col("occurred_at").dt.date()).agg(
            pl.col("customer_id").n_unique()
        )
        orders.update(dict(by_day.collect().iter_rows()))
    return next((gap for gap in reversed(gaps_of(orders)) if not gap.comes_again), None)


def order_days(data: Path, cutoff: datetime, begin: int) -> pl.DataFrame:
    """Order days of all customers from the day `begin` to before a cutoff, both counted from it, in order.

    Columns: customer_id, day (from the cutoff, in UTC), amount (without cancelled lines), gross.
    """
    paths = shard_paths(data)
    progress = Progress("shards read for the season", len(paths), "shards")
    parts = []
    for path in paths:
        parts.append(days_of_events(read_shard(path), cutoff).filter(pl.col("day") >= begin))
        progress.advance(1)
    return pl.concat(parts)


def days_of_events(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """`order_days` of events."""
    known = with_cancellations(events.filter(pl.col("occurred_at") < cutoff))
    lines = known.filter(is_purchase())
    kept = pl.when(pl.col("cancelled_at").is_null()).then(pl.col("amount")).otherwise(0.0)
    day = (pl.col("occurred_at").dt.truncate("1d") - cutoff).dt.total_days().cast(pl.Int32)
    spend = lines.group_by("customer_id", day.alias("day")).agg(
        kept.sum().alias("amount"), pl.col("amount").sum().alias("gross")
    )
    return spend.sort("customer_id", "day")  # so that sums are the same to the last bit


def summaries_on(days: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """What BTYD models read of the customers of `order_days` on the day `start`, and what they `spent` until `end`."""
    day = pl.col("day")
    is_known = day < start
    frequency, recency, age = BTYD_SUMMARY
    customers = (
        days.lazy()
        .filter(day < end)
        .group_by("customer_id", maintain_order=True)
        .agg(
            is_known.sum().cast(pl.Int64).alias("num_order_days"),
            pl.col("amount").filter(is_known).sum().alias("total_spend"),
            (day.filter(is_known).max() - day.min()).alias(recency),
            (start - day.min()).alias(age),
            pl.col("gross").filter(~is_known).sum().alias("spent"),
        )
        .filter(pl.col("num_order_days") > 0)
        .with_columns((pl.col("num_order_days") - 1).alias(frequency))
    )
    return customers.collect()


def spend_between(
    btyd: Btyd, known: pl.DataFrame, ends: np.ndarray, clock: Clock | None = None
) -> np.ndarray:
    """What is expected of the customers known on the first of the days `ends` between each two, shape (n, k).

    On a clock: if it showed a day a day between them.
    """
    length = np.diff(ends).astype(float)
    passes = length if clock is None else clock.passed(ends[:-1], ends[1:])
    orders = np.diff(btyd_curve(btyd, known, np.cumsum(passes)), axis=1, prepend=0.0)
    spend: np.ndarray = orders * (length / passes) * btyd_order_value(btyd, known)[:, None]
    return spend


def _month(
    days: pl.DataFrame, btyd: Btyd, start: int, end: int, clock: Clock | None
) -> dict[str, float]:
    """A row of `backcast`."""
    known = summaries_on(days, start, end)
    actual = known["spent"].to_numpy()
    if clock is not None:
        known = clock.summaries(known, start)
    expected = spend_between(btyd, known, np.array([start, end]), clock)[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):  # where nothing came
        residual = actual - actual.sum() / expected.sum() * expected
        variance = (residual**2).sum() / actual.sum() ** 2
    return {
        "years": (start + end) / 2 / YEAR_DAYS,
        "expected": expected.sum(),
        "actual": actual.sum(),
        "buyers": (actual > 0).sum(),
        "variance": variance,
    }
