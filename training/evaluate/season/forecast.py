"""From what earlier months brought of what BG/NBD expects to what the months ahead will.

BG/NBD takes customers for buying as fast in one month as in the next. After the high season it
expects too much of those who just bought, after the low one too little. So what is learned of the
months sets the clock on which it then reads the same customers, and they are asked again.
"""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.btyd.model import Btyd, fit_btyd
from lifecycle.btyd.season import NUM_MONTHS, Season
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack_trees import MISLED
from training.evaluate.season.backcast import (
    MIN_AGE_DAYS,
    TWELFTH_DAYS,
    backcast,
    latest_gap,
    order_days,
    spend_between,
)
from training.evaluate.season.clock import Clock
from training.evaluate.season.months import Months
from training.prepare.recipe import YEAR_DAYS

ROUNDS = 2  # of setting the clock; further ones change little
MIN_BUYERS = 5  # in a month, for its ratio to count
MIN_DAYS = YEAR_DAYS + MIN_AGE_DAYS  # before the cutoff
NORMAL_95 = 1.96


def season_for(models: SpendModels, data: Path, known: pl.DataFrame, horizon_days: int) -> Season:
    """`find_season` for these models; nothing is known where BG/NBD, whose total it corrects, misleads."""
    if models.stack is not None and models.stack.is_misled:
        return Season(
            why="BG/NBD, whose total they would correct, misleads here: its squared errors are clearly more than "
            f"{MISLED:g} times those of trees"
        )
    return find_season(data, models.for_season, known, horizon_days)


def find_season(data: Path, btyd: Btyd | None, known: pl.DataFrame, horizon_days: int) -> Season:
    """The season of the horizon after the cutoff of `known`, all customers as they are known at it.

    Nothing is known of it where less than a year of outcomes lies before the cutoff, or too few
    customers bought in it; `why` says so. A shop begins anew behind months that are missing.
    """
    cutoff: datetime = known["cutoff"][0]
    if btyd is None:
        return Season(why="too few customers have bought again")
    begin = -int(known["btyd_age"].to_numpy().max())
    closed = range(0)
    since = f"the purchases begin on {cutoff.date() + timedelta(days=begin)}"
    if -begin >= MIN_DAYS and (gap := latest_gap(data, cutoff)):
        since = f"nobody bought from {gap.first} to {gap.last}, which no other year repeats"
        begin = (gap.last - cutoff.date()).days + 1
        closed = range((gap.first - cutoff.date()).days, begin)
    if -begin < MIN_DAYS:
        return Season(
            why=f"{since}, {-begin} days before {cutoff.date()}; a season needs {MIN_DAYS}"
        )
    # Who bought before a gap looks lost behind it: nothing is known of the customers but what came since.
    days = order_days(data, cutoff, begin)
    cells = backcast(days, btyd)
    told = _told(cells)
    if told.height < NUM_MONTHS:
        return Season(
            why=f"{told.height} of {cells.height} months before {cutoff.date()} have "
            f"{MIN_BUYERS} buyers; a season needs {NUM_MONTHS}"
        )
    return _forecast(days, btyd, told, known, horizon_days, closed)


def likeliest(known: pl.DataFrame) -> Btyd:
    """The BTYD model of the highest likelihood. Raises ValueError where too few have bought again."""
    models = fit_btyd(known).values()
    return max(models, key=lambda model: model.purchases.report.log_likelihood)


def _told(cells: pl.DataFrame) -> pl.DataFrame:
    """The months that tell anything."""
    is_told = (pl.col("buyers") >= MIN_BUYERS) & (pl.col("actual") > 0) & (pl.col("expected") > 0)
    return cells.filter(is_told)


def _forecast(
    days: pl.DataFrame,
    btyd: Btyd,
    cells: pl.DataFrame,
    known: pl.DataFrame,
    horizon_days: int,
    closed: range,
) -> Season:
    """From `cells`, what months brought of what `btyd` expects; nobody bought on the days `closed`."""
    cutoff: datetime = known["cutoff"][0]
    num_months = max(1, round(horizon_days / TWELFTH_DAYS))
    ends = np.linspace(0, horizon_days, num_months + 1).round().astype(int)
    years = (ends[1:] + ends[:-1]) / 2 / YEAR_DAYS
    plain = expected = spend_between(btyd, known, ends)
    months = Months(cells)
    oldest = -int(known["btyd_age"].to_numpy().max())
    # Before a month comes twice season, growth and what BG/NBD misses of young customers look alike.
    for _ in range(ROUNDS if cells["years"][0] < -1 else 0):
        clock = Clock.of(months.pace, oldest, horizon_days, closed)
        on_clock = clock.summaries(known, 0)
        evened = likeliest(on_clock)
        expected = spend_between(evened, on_clock, ends, clock)
        months = Months(_told(backcast(days, evened, clock)))
    mean, covariance = months.ahead(years)
    brought = expected.sum(axis=0) * np.exp(mean)
    share = brought / brought.sum()
    factor = float(brought.sum() / plain.sum())
    spread = NORMAL_95 * float(np.sqrt(share @ covariance @ share))
    growth, doubt = months.growth()
    first = cutoff + timedelta(days=round(float(cells["years"][0]) * YEAR_DAYS - TWELFTH_DAYS / 2))
    return Season(
        factor=factor,
        low=factor * float(np.exp(-spread)),
        high=factor * float(np.exp(spread)),
        learned_from=(first.date(), cutoff.date()),
        months=months.of_year(cutoff.date()),
        cutoff=cutoff.date(),
        year_ago=_year_ago(cells, years),
        growth=float(np.expm1(growth)),
        growth_low=float(np.expm1(growth - NORMAL_95 * doubt)),
        growth_high=float(np.expm1(growth + NORMAL_95 * doubt)),
    )


def _year_ago(cells: pl.DataFrame, years: np.ndarray) -> float | None:
    """What the months around the days of the horizon brought a year earlier of what was expected of each."""
    half = TWELFTH_DAYS / 2 / YEAR_DAYS
    then = cells.filter(pl.col("years").is_between(years[0] - 1 - half, years[-1] - 1 + half))
    if then.is_empty():
        return None
    return float(then["actual"].to_numpy().sum() / then["expected"].to_numpy().sum())
