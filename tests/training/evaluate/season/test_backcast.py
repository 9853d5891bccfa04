"""BTYD models asked at the beginning of earlier months."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import btyd_value, fit_btyd
from lifecycle.events.history import outcomes
from lifecycle.events.order_days import summarise
from tests.training.evaluate.season.conftest import BEGIN, CUTOFF, Shop, known_customers
from training.evaluate.season.backcast import (
    backcast,
    order_days,
    spend_between,
    starts_of,
    summaries_on,
)


def test_months_begin_where_the_shop_was_old_enough() -> None:
    starts = starts_of(638)
    assert starts[-12] == -365 and starts[-1] == -30
    assert starts[0] + 638 >= 45 > starts[0] - 31 + 638


def test_customers_of_a_day_are_summed_up_as_btyd_models_read_them(seasonal_shop: Shop) -> None:
    day = -100
    days = order_days(seasonal_shop.data, CUTOFF, BEGIN)
    known = summaries_on(days, day, day).sort("customer_id")
    cutoff = CUTOFF + timedelta(days=day)
    before = seasonal_shop.events.filter(pl.col("occurred_at") < cutoff)
    summary = summarise(before.with_columns(cutoff=pl.lit(cutoff)))
    for name in ("frequency", "recency", "age"):
        assert known[f"btyd_{name}"].to_list() == summary[name].to_list()
    spend = before.group_by("customer_id").agg(pl.col("amount").sum()).sort("customer_id")
    assert known["total_spend"].to_numpy() == pytest.approx(spend["amount"].to_numpy())
    assert known["spent"].to_list() == [0.0] * known.height


@pytest.mark.parametrize("horizon", [1, 7, 90, 400])
def test_spend_between_days_is_that_of_the_horizon(seasonal_shop: Shop, horizon: int) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    ends = np.array([0, *range(30, horizon, 30), horizon])
    found = spend_between(btyd, seasonal_shop.known, ends).sum(axis=1)
    assert found == pytest.approx(btyd_value(btyd, seasonal_shop.known, horizon), rel=1e-9)


def test_cells_are_what_the_model_expects_and_what_came(seasonal_shop: Shop) -> None:
    btyd = fit_btyd(seasonal_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    cells = backcast(order_days(seasonal_shop.data, CUTOFF, BEGIN), btyd)
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
    days = order_days(seasonal_shop.data, CUTOFF - timedelta(days=100), -600)
    came = seasonal_shop.events.filter(pl.col("occurred_at") < CUTOFF - timedelta(days=100))
    assert days["day"].max() == -1
    assert days["gross"].sum() == pytest.approx(came["amount"].sum())


def test_variance_is_that_of_the_ratio(even_shop: Shop) -> None:
    """Against how far ratios of months lie from their mean in a shop without a season."""
    btyd = fit_btyd(even_shop.known, ["bgnbd_gg"])["bgnbd_gg"]
    cells = backcast(order_days(even_shop.data, CUTOFF, BEGIN), btyd).tail(12)
    logarithms = (cells["actual"] / cells["expected"]).log().to_numpy()
    trend = np.polyval(np.polyfit(cells["years"].to_numpy(), logarithms, 1), cells["years"])
    found = np.mean((logarithms - trend) ** 2) * 12 / 10
    assert cells["variance"].mean() == pytest.approx(found, rel=0.8)
