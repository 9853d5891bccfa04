"""BG/NBD asked at earlier cutoffs."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import btyd_value, fit_btyd
from lifecycle.events.history import outcomes
from tests.training.evaluate.season.conftest import CUTOFF, HORIZON, Shop, known_customers
from training.evaluate.season.backcast import Grid, backcast

FIRST = date(2022, 1, 1)


@pytest.mark.parametrize(
    "horizon_days, gap, num_cells",
    [(90, 91, 3), (30, 30, 1), (180, 182, 6), (365, 365, 12), (730, 365, 12)],
)
def test_a_whole_number_of_gaps_makes_a_year(horizon_days: int, gap: int, num_cells: int) -> None:
    grid = Grid.before(CUTOFF, horizon_days, FIRST)
    assert CUTOFF - timedelta(days=365) in grid.cutoffs
    assert (CUTOFF - grid.cutoffs[0]).days == pytest.approx(gap, abs=1)
    assert len(grid.ends) == num_cells + 1 and grid.ends[-1] == pytest.approx(gap, abs=1)
    assert grid.cutoffs[-1].date() >= FIRST + timedelta(days=45)


def test_cells_are_what_the_model_expects_and_what_came(seasonal_shop: Shop) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    cells = backcast(seasonal_shop.data, btyd, CUTOFF, HORIZON, FIRST)
    assert cells["years"].is_sorted() and cells["years"].max() < 0
    year_ago = CUTOFF - timedelta(days=365)
    then = known_customers(seasonal_shop.events, year_ago)
    in_year = cells.filter(pl.col("years").is_between(-1, -1 + 91 / 365))
    assert in_year.height == 3
    assert in_year["expected"].sum() == pytest.approx(btyd_value(btyd, then, 91).sum(), rel=1e-6)
    came = outcomes(seasonal_shop.events, then, 91)["target"].sum()
    assert in_year["actual"].sum() == pytest.approx(came, rel=1e-9)


def test_nothing_at_or_after_the_cutoff_is_read(seasonal_shop: Shop) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    early = CUTOFF - timedelta(days=100)
    cells = backcast(seasonal_shop.data, btyd, early, HORIZON, FIRST)
    came = seasonal_shop.events.filter(pl.col("occurred_at") < early)["amount"].sum()
    assert 0 < cells["actual"].sum() < came


def test_variance_is_that_of_the_ratio(even_shop: Shop) -> None:
    """Against how far ratios of months lie from their mean in a shop without a season."""
    btyd = fit_btyd(even_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    cells = backcast(even_shop.data, btyd, CUTOFF, HORIZON, FIRST).tail(12)
    logarithms = (cells["actual"] / cells["expected"]).log().to_numpy()
    trend = np.polyval(np.polyfit(cells["years"].to_numpy(), logarithms, 1), cells["years"])
    found = np.mean((logarithms - trend) ** 2) * 12 / 10
    assert cells["variance"].mean() == pytest.approx(found, rel=0.8)
