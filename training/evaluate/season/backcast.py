"""BG/NBD with today's parameters, asked at the beginning of earlier months: what it expects of each, and what came."""

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

MONTH_DAYS = YEAR_DAYS / 12
MIN_AGE_DAYS = 45  # of the shop at the earliest cutoff
SUMS = ["expected", "actual", "buyers", "product", "actual_squared", "expected_squared"]


def backcast(
    data: Path, btyd: Btyd, cutoff: datetime, first_day: date, clock: Clock | None = None
) -> pl.DataFrame:
    """A row per month before `cutoff`, oldest first: years, expected, actual, buyers, variance.

    `years` is the time of its middle from `cutoff`, negative. At the beginning of each month the
    model sees what was known of the customers then; no purchase at or after `cutoff` is read.
    `btyd` reads times on `clock`; what it expects is of a month in which that runs as always.
    `variance` is that of the logarithm of `actual`, from how far customers are from what was
    expected of them. Purchases before `first_day` are not read.
    """
    starts = months_before(cutoff, first_day)
    paths = shard_paths(data)
    progress = Progress("shards asked for the season", len(paths), "shards")
    parts = []
    for path in paths:
        days = daily_spend(read_shard(path), cutoff)
        # Who bought before a gap looks lost behind it: nothing is known of the customers but what came since.
        days = days.filter(pl.col("day") >= (first_day - cutoff.date()).days)
        for start, end in pairwise((*starts, 0)):
            sums = _sums(days, btyd, start, end, clock)
            parts.append({"years": (start + end) / 2 / YEAR_DAYS, **sums})
        progress.advance(1)
    cells = pl.DataFrame(parts).group_by("years").sum().sort("years")
    ratio = pl.col("actual") / pl.col("expected")
    squares = (
        pl.col("actual_squared")
        - 2 * ratio * pl.col("product")
        + ratio**2 * pl.col("expected_squared")
    )
    return cells.select(
        "years", "expected", "actual", "buyers", variance=squares / pl.col("actual") ** 2
    )


def months_before(cutoff: datetime, first_day: date) -> list[int]:
    """First days of the months before a cutoff, from it, for which a shop was old enough that began on `first_day`."""
    age = (cutoff.date() - first_day).days
    num_months = int((age - MIN_AGE_DAYS) / MONTH_DAYS)
    return [-round(number * MONTH_DAYS) for number in range(num_months, 0, -1)]


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


def daily_spend(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """Order days before a cutoff: customer_id, day (from it, in UTC), amount (without cancelled lines), gross."""
    known = with_cancellations(events.filter(pl.col("occurred_at") < cutoff))
    lines = known.filter(is_purchase())
    kept = pl.when(pl.col("cancelled_at").is_null()).then(pl.col("amount")).otherwise(0.0)
    day = (pl.col("occurred_at").dt.truncate("1d") - cutoff).dt.total_days().cast(pl.Int32)
    spend = lines.group_by("customer_id", day.alias("day")).agg(
        kept.sum().alias("amount"), pl.col("amount").sum().alias("gross")
    )
    return spend.sort("customer_id", "day")  # so that sums are the same to the last bit


def customers_at(days: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """What BTYD models read of customers of `daily_spend` at a day, as FEATURES have it, and `spent` until `end`."""
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


def _sums(
    days: pl.DataFrame, btyd: Btyd, start: int, end: int, clock: Clock | None
) -> dict[str, float]:
    """SUMS over the customers known on the day `start`, of the month to `end`."""
    known = customers_at(days, start, end)
    if known.is_empty():  # of this shard
        return dict.fromkeys(SUMS, 0.0)
    if clock is not None:
        known = clock.summaries(known, start)
    expected = expected_spend(btyd, known, np.array([start, end]), clock)[:, 0]
    actual = known["spent"].to_numpy()
    columns = (expected, actual, actual > 0, actual * expected, actual**2, expected**2)
    return {name: float(values.sum()) for name, values in zip(SUMS, columns, strict=True)}


def expected_spend(
    btyd: Btyd, known: pl.DataFrame, ends: np.ndarray, clock: Clock | None = None
) -> np.ndarray:
    """What is expected of the customers known on the first of the days `ends` between each two, shape (n, k).

    On a clock: if it ran between them as always.
    """
    length = np.diff(ends).astype(float)
    passes = length if clock is None else clock.passed(ends[:-1], ends[1:])
    orders = np.diff(btyd_curve(btyd, known, np.cumsum(passes)), axis=1, prepend=0.0)
    spend: np.ndarray = orders * (length / passes) * btyd_order_value(btyd, known)[:, None]
    return spend
