"""From what earlier months brought of what BG/NBD expects to what the months ahead will.

BG/NBD takes customers for buying as fast in one month as in the next. After the high season it
expects too much of those who just bought, after the low one too little. So what is learned of the
months sets the clock on which it then reads the same customers, and they are asked again.
"""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.btyd.model import Btyd, fit_btyd
from lifecycle.btyd.season import NUM_MONTHS, Season
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack_trees import MISLED
from training.evaluate.season.backcast import (
    MIN_AGE_DAYS,
    MONTH_DAYS,
    backcast,
    expected_spend,
    latest_gap,
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
    first_day = cutoff.date() - timedelta(days=int(known["btyd_age"].max()))  # type: ignore[arg-type]
    begin = f"the purchases begin on {first_day}"
    if _is_old(first_day, cutoff) and (gap := latest_gap(data, cutoff)):
        begin = f"nobody bought from {gap.first} to {gap.last}, which no other year repeats"
        first_day = gap.last + timedelta(days=1)
    if not _is_old(first_day, cutoff):
        age = (cutoff.date() - first_day).days
        return Season(why=f"{begin}, {age} days before {cutoff.date()}; a season needs {MIN_DAYS}")
    cells = backcast(data, btyd, cutoff, first_day)
    told = _told(cells)
    if told.height < NUM_MONTHS:
        return Season(
            why=f"{told.height} of {cells.height} months before {cutoff.date()} have "
            f"{MIN_BUYERS} buyers; a season needs {NUM_MONTHS}"
        )
    return _forecast(data, btyd, told, known, horizon_days, first_day)


def _is_old(first_day: date, cutoff: datetime) -> bool:
    return (cutoff.date() - first_day).days >= MIN_DAYS


def likeliest(known: pl.DataFrame) -> Btyd:
    """The BTYD model by which customers did most likely what they did: they differ in when one may leave."""
    models = fit_btyd(known).values()
    return max(models, key=lambda model: model.purchases.report.log_likelihood)


def _told(cells: pl.DataFrame) -> pl.DataFrame:
    """The months that tell anything."""
    is_told = (pl.col("buyers") >= MIN_BUYERS) & (pl.col("actual") > 0) & (pl.col("expected") > 0)
    return cells.filter(is_told)


def _forecast(
    data: Path,
    btyd: Btyd,
    cells: pl.DataFrame,
    known: pl.DataFrame,
    horizon_days: int,
    first_day: date,
) -> Season:
    """From `cells`, what months brought of what `btyd` expects."""
    cutoff: datetime = known["cutoff"][0]
    num_months = max(1, round(horizon_days / MONTH_DAYS))
    ends = np.linspace(0, horizon_days, num_months + 1).round().astype(int)
    years = (ends[1:] + ends[:-1]) / 2 / YEAR_DAYS
    plain = expected = expected_spend(btyd, known, ends)
    months = Months(cells)
    oldest = -int(known["btyd_age"].to_numpy().max())
    # In a single year season, growth and what BG/NBD misses of young customers look alike.
    for _ in range(ROUNDS if cells.height > NUM_MONTHS else 0):
        clock = Clock.of(months.pace, oldest, horizon_days)
        on_clock = clock.summaries(known, 0)
        evened = likeliest(on_clock)
        expected = expected_spend(evened, on_clock, ends, clock)
        months = Months(_told(backcast(data, evened, cutoff, first_day, clock)))
    mean, covariance = months.ahead(years)
    brought = expected.sum(axis=0) * np.exp(mean)
    share = brought / brought.sum()
    factor = float(brought.sum() / plain.sum())
    spread = NORMAL_95 * float(np.sqrt(share @ covariance @ share))
    growth, doubt = months.growth()
    first = cutoff + timedelta(days=round(float(cells["years"][0]) * YEAR_DAYS - MONTH_DAYS / 2))
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
    """What the days of the horizon brought a year earlier of what is expected of them."""
    half = MONTH_DAYS / 2 / YEAR_DAYS
    then = cells.filter(pl.col("years").is_between(years[0] - 1 - half, years[-1] - 1 + half))
    if then.is_empty():
        return None
    return float(then["actual"].to_numpy().sum() / then["expected"].to_numpy().sum())
