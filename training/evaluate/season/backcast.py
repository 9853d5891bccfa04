"""BG/NBD with today's parameters, asked at earlier cutoffs: what it expects of each month after them, and what came."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.btyd.model import Btyd, btyd_curve, btyd_order_value
from lifecycle.events.gaps import Gap, gaps_of
from lifecycle.events.history import with_cancellations
from lifecycle.events.order_days import summarise
from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import read_shard, scan_shard, shard_paths
from lifecycle.features.numbers import BTYD_SUMMARY
from lifecycle.jobs import Progress
from training.prepare.recipe import YEAR_DAYS

CELL_DAYS = 30  # of a cell, about: as many of one length as there is room for between two cutoffs
MIN_AGE_DAYS = 45  # of the shop at the earliest cutoff
SUMS = ["expected", "actual", "buyers", "product", "actual_squared", "expected_squared"]


@dataclass(frozen=True)
class Grid:
    """Cutoffs before a cutoff, about a horizon apart so that a whole number makes a year, and cells after each."""

    cutoffs: tuple[datetime, ...]  # latest first
    ends: np.ndarray  # of the cells after each, whole days, from 0

    @classmethod
    def before(cls, cutoff: datetime, horizon_days: int, first_day: date) -> "Grid":
        """All that a shop was old enough for whose purchases began on `first_day`."""
        gap = YEAR_DAYS / max(1, round(YEAR_DAYS / horizon_days))
        num_cells = max(1, round(gap / CELL_DAYS))
        ends = np.round(np.linspace(0, gap, num_cells + 1)).astype(int)
        num_cutoffs = int(((cutoff.date() - first_day).days - MIN_AGE_DAYS) / gap)
        steps = range(1, num_cutoffs + 1)
        return cls(tuple(cutoff - timedelta(days=round(step * gap)) for step in steps), ends)


def backcast(
    data: Path, btyd: Btyd, cutoff: datetime, horizon_days: int, first_day: date
) -> pl.DataFrame:
    """A row per cell, oldest first: years, expected, actual, buyers, variance.

    `years` is the time of its middle from `cutoff`, negative. At each earlier cutoff the model sees
    what was known of the customers then; no purchase at or after `cutoff` is read. `variance` is
    that of the logarithm of `actual`, from how far customers are from what was expected of them.
    Purchases before `first_day` are not read.
    """
    grid = Grid.before(cutoff, horizon_days, first_day)
    paths = shard_paths(data)
    progress = Progress("shards asked for the season", len(paths), "shards")
    parts = []
    for path in paths:
        days = daily_spend(read_shard(path), cutoff)
        # Who bought before a gap looks lost behind it: nothing is known of the customers but what came since.
        days = days.filter(pl.col("occurred_at").dt.date() >= first_day)
        for earlier in grid.cutoffs:
            middles = (earlier - cutoff).days + (grid.ends[1:] + grid.ends[:-1]) / 2
            sums = _sums(days, btyd, earlier, grid.ends)
            parts.append(sums.with_columns(years=middles / YEAR_DAYS))
        progress.advance(1)
    cells = pl.concat(parts).group_by("years").sum().sort("years")
    ratio = pl.col("actual") / pl.col("expected")
    squares = (
        pl.col("actual_squared")
        - 2 * ratio * pl.col("product")
        + ratio**2 * pl.col("expected_squared")
    )
    return cells.select(
        "years", "expected", "actual", "buyers", variance=squares / pl.col("actual") ** 2
    )


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
    """Order days before a cutoff: customer_id, occurred_at (UTC midnight), amount (without cancelled lines), gross."""
    known = with_cancellations(events.filter(pl.col("occurred_at") < cutoff))
    lines = known.filter(is_purchase())
    kept = pl.when(pl.col("cancelled_at").is_null()).then(pl.col("amount")).otherwise(0.0)
    return lines.group_by("customer_id", pl.col("occurred_at").dt.truncate("1d")).agg(
        kept.sum().alias("amount"), pl.col("amount").sum().alias("gross")
    )


def _sums(days: pl.DataFrame, btyd: Btyd, cutoff: datetime, ends: np.ndarray) -> pl.DataFrame:
    """A row per cell after a cutoff, of the customers known at it."""
    known = summaries_at(days, cutoff)
    if known.is_empty():  # of this shard
        return pl.DataFrame(np.zeros((len(ends) - 1, len(SUMS))), schema=SUMS)
    orders = np.diff(btyd_curve(btyd, known, ends[1:].astype(float)), axis=1, prepend=0.0)
    expected = orders * btyd_order_value(btyd, known)[:, None]
    actual = _spend(days, known, cutoff, ends)
    columns = (
        expected,
        actual,
        (actual > 0).astype(float),
        actual * expected,
        actual**2,
        expected**2,
    )
    return pl.DataFrame([values.sum(axis=0) for values in columns], schema=SUMS)


def summaries_at(days: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """What BTYD models read of each customer of `daily_spend` at a cutoff, as FEATURES have it."""
    before = days.filter(pl.col("occurred_at") < cutoff)
    summary = summarise(before.with_columns(cutoff=pl.lit(cutoff).cast(days["occurred_at"].dtype)))
    names = dict(zip(("frequency", "recency", "age"), BTYD_SUMMARY, strict=True))
    spend = before.group_by("customer_id").agg(pl.col("amount").sum().alias("total_spend"))
    return (
        summary.rename(names)
        .join(spend, on="customer_id")
        .with_columns(num_order_days=pl.col(BTYD_SUMMARY[0]) + 1)
    )


def _spend(
    days: pl.DataFrame, known: pl.DataFrame, cutoff: datetime, ends: np.ndarray
) -> np.ndarray:
    """What each known customer spent in each cell after a cutoff, shape (n, k)."""
    numbered = known.select("customer_id").with_row_index("row")
    ahead = days.filter(
        (pl.col("occurred_at") >= cutoff)
        & (pl.col("occurred_at") < cutoff + timedelta(days=int(ends[-1])))
    ).join(numbered, on="customer_id")
    offset = (ahead["occurred_at"] - cutoff).dt.total_days().to_numpy()
    cell = np.searchsorted(ends, offset, side="right") - 1
    spent = np.zeros((known.height, len(ends) - 1))
    np.add.at(spent, (ahead["row"].to_numpy(), cell), ahead["gross"].to_numpy())
    return spent
