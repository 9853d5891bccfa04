"""How far the total that is expected of a shop's customers lies from what they spent, at cutoffs a month apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.shops.recipes import Shop
from benchmarks.harness.shops.simulated import FIRST_DAY, expected_spend, true_pace
from lifecycle.btyd.model import btyd_value, fit_btyd
from lifecycle.events.history import outcomes
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.names import BGNBD
from training.evaluate.season.backcast import days_of_events, summaries_on
from training.evaluate.season.clock import Clock
from training.evaluate.season.forecast import find_season, likeliest
from training.ingest.job import ingest

HISTORY_DAYS = 456  # fifteen months before the first cutoff
STEP_DAYS = 30


@dataclass(frozen=True)
class Total:
    """Expected over actual spend within the horizon of the customers known at a cutoff."""

    # BG/NBD's, times the season's factor: what every model is brought to where BG/NBD does not mislead.
    ours: float
    true_season: (
        float | None
    )  # the likeliest BTYD model's on the true season's clock; None of real shops
    limit: float | None  # of whoever knows all but chance; None of real shops


def totals_of(shop: Shop, folder: Path) -> list[Total]:
    """One at each cutoff."""
    recipe = shop.recipe(folder).model_copy(update={"output": folder / "data"})
    ingest(recipe)
    events = pl.concat([read_shard(path) for path in shard_paths(folder / "data")])
    return [
        _total(shop, folder / "data", events, cutoff)
        for cutoff in _cutoffs(events, shop.horizon_days)
    ]


def _cutoffs(events: pl.DataFrame, horizon_days: int) -> Iterator[datetime]:
    bought = events.filter(pl.col("kind").is_in(["purchase", "renewal"]))["occurred_at"].dt.date()
    first, last = bought.min(), bought.max()
    assert isinstance(first, date) and isinstance(last, date)
    cutoff = first + timedelta(days=HISTORY_DAYS)
    while cutoff + timedelta(days=horizon_days) <= last + timedelta(days=1):
        yield datetime.combine(cutoff, datetime.min.time(), UTC)
        cutoff += timedelta(days=STEP_DAYS)


def _total(shop: Shop, data: Path, events: pl.DataFrame, cutoff: datetime) -> Total:
    horizon_days = shop.horizon_days
    known = summaries_on(days_of_events(events, cutoff), 0, 0).with_columns(cutoff=pl.lit(cutoff))
    btyd = fit_btyd(known, [BGNBD])[BGNBD]
    season = find_season(data, btyd, known, horizon_days)
    expected = season.factor * float(btyd_value(btyd, known, horizon_days).sum())
    actual = float(outcomes(events, known, horizon_days)["target"].sum())
    if shop.simulation is None:
        return Total(expected / actual, None, None)
    now = cutoff.replace(tzinfo=None)
    today = (now - FIRST_DAY).days
    days = true_pace(*shop.simulation)
    oldest = -int(known["btyd_age"].to_numpy().max())
    clock = Clock.of(lambda at: days[today + np.floor(at).astype(int)], oldest, horizon_days)
    on_clock = clock.summaries(known, 0)
    ahead = float(clock.passed(0, horizon_days))
    true_season = float(btyd_value(likeliest(on_clock), on_clock, ahead).sum())
    limit = expected_spend(*shop.simulation, now, horizon_days)
    return Total(expected / actual, true_season / actual, limit / actual)
