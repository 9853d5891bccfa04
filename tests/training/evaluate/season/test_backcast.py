"""BG/NBD asked at earlier cutoffs."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import btyd_value, fit_btyd
from lifecycle.events.history import outcomes
from tests.training.evaluate.season.conftest import CUTOFF, Shop, known_customers
from training.evaluate.season.backcast import backcast, months_before

FIRST = date(2022, 1, 1)


def test_months_before_a_cutoff_begin_where_the_shop_was_old_enough() -> None:
    starts = months_before(CUTOFF, FIRST)
    assert starts[-12] == -365 and starts[-1] == -30
    assert (CUTOFF + timedelta(days=starts[0])).date() >= FIRST + timedelta(days=45)
    assert (CUTOFF + timedelta(days=starts[0] - 31)).date() < FIRST + timedelta(days=45)


def test_cells_are_what_the_model_expects_and_what_came(seasonal_shop: Shop) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    cells = backcast(seasonal_shop.data, btyd, CUTOFF, FIRST)
    assert cells["years"].is_sorted() and cells["years"].max() < 0
    year_ago = CUTOFF - timedelta(days=365)
    then = known_customers(seasonal_shop.events, year_ago)
    month = cells.filter(pl.col("years").is_between(-1, -1 + 30 / 365))
    assert month.height == 1
    assert month["expected"].item() == pytest.approx(btyd_value(btyd, then, 30).sum(), rel=1e-6)
    came = outcomes(seasonal_shop.events, then, 30)["target"]
    assert month["actual"].item() == pytest.approx(came.sum(), rel=1e-9)
    assert month["buyers"].item() == (came > 0).sum()


def test_nothing_at_or_after_the_cutoff_is_read(seasonal_shop: Shop) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    early = CUTOFF - timedelta(days=100)
    cells = backcast(seasonal_shop.data, btyd, early, FIRST)
    came = seasonal_shop.events.filter(pl.col("occurred_at") < early)["amount"].sum()
    assert 0 < cells["actual"].sum() < came


def test_variance_is_that_of_the_ratio(even_shop: Shop) -> None:
    """Against how far ratios of months lie from their mean in a shop without a season."""
    btyd = fit_btyd(even_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    cells = backcast(even_shop.data, btyd, CUTOFF, FIRST).tail(12)
    logarithms = (cells["actual"] / cells["expected"]).log().to_numpy()
    trend = np.polyval(np.polyfit(cells["years"].to_numpy(), logarithms, 1), cells["years"])
    found = np.mean((logarithms - trend) ** 2) * 12 / 10
    assert cells["variance"].mean() == pytest.approx(found, rel=0.8)
