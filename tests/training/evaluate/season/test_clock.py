"""The clock on which customers buy evenly."""

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import fit_btyd
from tests.training.evaluate.season.conftest import BEGIN, CUTOFF, Shop, seasonal
from training.evaluate.season.backcast import backcast, order_days, spend_between, summaries_on
from training.evaluate.season.clock import Clock


def twice_as_fast_from(day: int) -> Clock:
    return Clock.of(lambda days: np.where(days > day, 2.0, 1.0), -100, 30)


def test_it_shows_days_of_the_average_day_before_the_cutoff() -> None:
    clock = twice_as_fast_from(-50)
    assert clock.passed(-100, 0) == pytest.approx(100)
    assert clock.passed(-100, -50) == pytest.approx(50 / 1.5)
    assert clock.passed(0, 30) == pytest.approx(60 / 1.5)
    assert clock.passed(np.array([-60, -50]), -40) == pytest.approx(np.array([30, 20]) / 1.5)


def test_it_stands_while_the_shop_is_closed() -> None:
    clock = Clock.of(np.ones_like, -100, 30, closed=range(-60, -40))
    assert clock.passed(-60, -40) == 0
    assert clock.passed(-100, 0) == pytest.approx(100)
    assert clock.passed(-40, 0) == pytest.approx(40 * 100 / 80)


def test_summaries_are_read_on_it() -> None:
    columns = {"btyd_frequency": [1, 0], "btyd_recency": [30, 0], "btyd_age": [40, 10]}
    read = twice_as_fast_from(-50).summaries(pl.DataFrame(columns), -20)
    assert read["btyd_frequency"].to_list() == [1, 0]
    assert read["btyd_recency"].to_numpy() == pytest.approx(np.array([10 + 2 * 20, 0]) / 1.5)
    assert read["btyd_age"].to_numpy() == pytest.approx(np.array([10 + 2 * 30, 2 * 10]) / 1.5)


def test_on_an_even_clock_the_same_is_expected(even_shop: Shop) -> None:
    known = summaries_on(order_days(even_shop.data, CUTOFF, BEGIN), 0, 0)
    btyd = fit_btyd(known, ["bgnbd_gg"])["bgnbd_gg"]
    ends = np.array([0, 30, 61, 91])
    clock = Clock.of(np.ones_like, -700, 91)
    expected = spend_between(btyd, clock.summaries(known, 0), ends, clock)
    assert expected == pytest.approx(spend_between(btyd, known, ends), rel=1e-9)


def test_on_the_shops_own_clock_months_bring_what_their_season_says(seasonal_shop: Shop) -> None:
    """Who knows no season expects too little of those who were silent in the low one."""
    days = order_days(seasonal_shop.data, CUTOFF, BEGIN)
    known = summaries_on(days, 0, 0)
    clock = Clock.of(lambda day: seasonal(day - BEGIN), BEGIN, 0)
    evened = fit_btyd(clock.summaries(known, 0), ["bgnbd_gg"])["bgnbd_gg"]
    plain = fit_btyd(known, ["bgnbd_gg"])["bgnbd_gg"]
    on_clock = backcast(days, evened, clock)
    off_clock = backcast(days, plain)
    assert apart_from_season(on_clock) < 0.6 * apart_from_season(off_clock)


def apart_from_season(cells: pl.DataFrame) -> float:
    """Standard deviation of what months brought over what is expected and what their season is."""
    days = cells["years"].to_numpy() * 365 - BEGIN
    ratio = cells["actual"].to_numpy() / cells["expected"].to_numpy()
    return float(np.std(np.log(ratio) - np.log(seasonal(days))))
