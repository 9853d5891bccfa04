"""The season of the months ahead, from what earlier years brought."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import btyd_value, fit_btyd
from lifecycle.btyd.pareto_nbd import ParetoNbd
from lifecycle.btyd.season import Season
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack import Stack
from tests.training.evaluate.season.conftest import (
    CUTOFF,
    HORIZON,
    Shop,
    known_customers,
    seasonal,
    shop_of,
)
from training.evaluate.season.forecast import find_season, likeliest, season_for


def season_of(shop: Shop) -> tuple[Season, float]:
    """What is found, and what the months ahead really bring of what BG/NBD expects."""
    btyd = fit_btyd(shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    season = find_season(shop.data, btyd, shop.known, HORIZON)
    return season, shop.actual / btyd_value(btyd, shop.known, HORIZON).sum()


def test_christmas_is_expected_from_the_last_one(seasonal_shop: Shop) -> None:
    season, truth = season_of(seasonal_shop)
    assert truth > 1.2  # or there would be nothing to find
    assert season.factor == pytest.approx(truth, rel=0.15)
    assert season.low is not None and season.high is not None
    assert season.low < truth < season.high
    assert season.year_ago is not None and season.year_ago > 1.1
    assert list(season.months)[0] == "2023-10" and len(season.months) == 12
    assert max(season.months, key=lambda month: season.months[month]) in ("2023-12", "2024-01")
    assert np.mean(list(season.months.values())) == pytest.approx(1)
    assert season.months["2023-12"] / season.months["2024-06"] == pytest.approx(3, rel=0.35)
    assert season.learned_from is not None and season.learned_from[1] == CUTOFF.date()


def test_shop_without_a_season_is_left_nearly_as_it_is(even_shop: Shop) -> None:
    season, truth = season_of(even_shop)
    assert season.factor == pytest.approx(truth, rel=0.1)
    assert season.low is not None and season.high is not None
    assert season.low < 1 < season.high
    assert season.growth_low is not None and season.growth_high is not None
    assert season.growth_low < 0 < season.growth_high  # it has none
    assert max(season.months.values()) < 1.3 and min(season.months.values()) > 0.75


def test_purchases_after_the_cutoff_change_nothing(seasonal_shop: Shop, tmp_path: Path) -> None:
    early = CUTOFF - timedelta(days=60)
    known = known_customers(seasonal_shop.events, early)
    btyd = fit_btyd(known, ["bgnbd_gg"])["bgnbd_gg"]
    season = find_season(seasonal_shop.data, btyd, known, HORIZON)
    assert season.is_known and season.cutoff == early.date()
    unknown = without(seasonal_shop, early, early + timedelta(days=9999), tmp_path)
    assert find_season(unknown.data, btyd, known, HORIZON) == season


@pytest.mark.parametrize("horizon", [1, 7, 400])
def test_any_horizon_has_a_season(seasonal_shop: Shop, horizon: int) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    season = find_season(seasonal_shop.data, btyd, seasonal_shop.known, horizon)
    assert season.low is not None and season.high is not None
    assert 0 < season.low < season.factor < season.high < 5


def test_young_shop_has_no_season(seasonal_shop: Shop) -> None:
    early = CUTOFF - timedelta(days=240)
    known = known_customers(seasonal_shop.events, early)
    btyd = fit_btyd(known, ["bgnbd_gg"])["bgnbd_gg"]
    season = find_season(seasonal_shop.data, btyd, known, HORIZON)
    assert not season.is_known and season.factor == 1 and season.months == {}
    assert season.why is not None and "a season needs 410" in season.why
    assert season.told().startswith(
        "season and growth are not in the forecast: the purchases begin on 2022-01"
    )


def without(shop: Shop, first: datetime, end: datetime, folder: Path) -> Shop:
    """The shop whose purchases of the days [first, end) were not exported."""
    data = folder / "data"
    shutil.copytree(shop.data, data)
    for path in shard_paths(data):
        is_missing = pl.col("occurred_at").is_between(first, end, closed="left")
        read_shard(path).filter(~is_missing).write_parquet(path)
    events = pl.concat([read_shard(path) for path in shard_paths(data)])
    return Shop(data, events, known_customers(events, CUTOFF))


@pytest.mark.parametrize("age", [420, 470])  # with the clock as it is, and set
def test_season_is_learned_anew_behind_months_that_are_missing(
    even_shop: Shop, tmp_path: Path, age: int
) -> None:
    end = CUTOFF - timedelta(days=age)
    season, truth = season_of(without(even_shop, end - timedelta(days=100), end, tmp_path))
    assert season.is_known and season.learned_from is not None
    assert season.learned_from[0] >= end.date() + timedelta(days=45)
    assert season.factor == pytest.approx(truth, rel=0.15)


def test_too_little_time_behind_missing_months_is_no_season(
    even_shop: Shop, tmp_path: Path
) -> None:
    end = CUTOFF - timedelta(days=330)
    season, _ = season_of(without(even_shop, end - timedelta(days=33), end, tmp_path))
    assert not season.is_known and season.factor == 1
    assert season.why is not None and season.why.startswith(
        "nobody bought from 2022-10-03 to 2022-11-04, which no other year repeats, 330 days before"
    )


def test_without_a_model_of_purchases_there_is_none(seasonal_shop: Shop) -> None:
    season = find_season(seasonal_shop.data, None, seasonal_shop.known, HORIZON)
    assert season.why == "too few customers have bought again"


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_where_bgnbd_misleads_no_total_is_corrected(seasonal_shop: Shop, share: float) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])
    stack = Stack({}, btyd["bgnbd_gg"], {}, HORIZON, btyd_share=share)
    models = SpendModels(HORIZON, btyd, {}, stack)
    season = season_for(models, seasonal_shop.data, seasonal_shop.known, HORIZON)
    assert season.is_known == bool(share)
    assert share or "misleads here" in season.told()


def test_few_buyers_tell_no_season(seasonal_shop: Shop, tmp_path: Path) -> None:
    few = shop_of(seasonal, tmp_path, num_customers=12)
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    season = find_season(few.data, btyd, few.known, HORIZON)
    assert not season.is_known
    assert season.why is not None and "have 5 buyers; a season needs 12" in season.why


def test_customers_who_leave_at_any_time_are_told_from_those_who_leave_after_orders(
    even_shop: Shop,
) -> None:
    assert isinstance(likeliest(even_shop.known).purchases, ParetoNbd)
