"""Who has which standing, and what is learned of them, by hand."""

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.contracts import UNKNOWN, Renewal
from lifecycle.value.standing import (
    PRIOR_CUSTOMERS,
    PRIOR_RETURNS,
    ReturnDefaults,
    fit_renewals,
    fit_returns,
    plan_class,
    renewal_shares,
    standing_of,
)
from tests.builders import customer

DEFAULTS = ReturnDefaults()
MONTH = {"plan_days": 30.0, "plan_paid_days": 20.0, "plan_days_left": 10.0, "recency_days": 20.0}
LATE = {"plan_days": 30.0, "plan_paid_days": 34.0, "plan_days_left": -4.0, "recency_days": 34.0}


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ({}, ""),
        ({"cancelled_days": 8.0}, "cancelled"),
        ({"paused_days": 8.0}, "paused"),
        (MONTH, "paid"),
        (MONTH | {"cancelled_days": 8.0}, "cancelled"),
        (MONTH | {"paused_days": 8.0}, "paused"),
        (MONTH | {"paused_days": 8.0, "cancelled_days": 9.0}, "cancelled"),
        (LATE, "overdue"),
        (LATE | {"plan_days_left": -3.0}, "paid"),
        (LATE | {"recency_days": 2.0}, ""),
        (LATE | {"plan_days": 365.0, "plan_days_left": -36.0}, "paid"),
        (LATE | {"plan_days": 365.0, "plan_days_left": -37.0}, "overdue"),
    ],
)
def test_first_standing_that_applies(said: dict[str, float], standing: str) -> None:
    assert standing_of(customer(**said)).tolist() == [standing]


def cancelled(days: float, orders: int, spend: float) -> pl.DataFrame:
    """Somebody whose order day brings 30, and what came of it."""
    row = customer(cancelled_days=days)
    return row.with_columns(num_orders_ahead=pl.lit(orders), target=pl.lit(spend))


def test_returns_are_the_shop_s_own_shrunk_to_the_default() -> None:
    long_ago = [cancelled(200.0, 0, 0.0)] * 30
    lately = [cancelled(8.0, 2, 80.0)] * 3 + [cancelled(8.0, 0, 0.0)] * 7
    found = fit_returns(pl.concat([*long_ago, *lately]), DEFAULTS, 90)["cancelled"]
    together = (3 + PRIOR_CUSTOMERS * 0.05) / (40 + PRIOR_CUSTOMERS)
    assert found.share == pytest.approx(
        (
            PRIOR_CUSTOMERS * together / (30 + PRIOR_CUSTOMERS),
            (3 + PRIOR_CUSTOMERS * together) / (10 + PRIOR_CUSTOMERS),
        )
    )
    assert found.orders == pytest.approx((240 + PRIOR_RETURNS * 30) / (90 + PRIOR_RETURNS * 30))
    assert found.num_rows == 40


@pytest.mark.parametrize(("horizon", "share"), [(90, 0.05), (180, 1 - 0.95**2)])
def test_shop_without_any_has_the_stated_default(horizon: int, share: float) -> None:
    rows = customer().with_columns(num_orders_ahead=pl.lit(1), target=pl.lit(9.0))
    found = fit_returns(rows, DEFAULTS, horizon)["cancelled"]
    assert (*found.share, found.orders) == pytest.approx((share, share, 1.0))
    assert found.num_rows == 0
    stated = fit_returns(rows, ReturnDefaults(cancelled=0.5), 90)["cancelled"]
    assert stated.share == pytest.approx((0.5, 0.5))


def test_plans_of_about_one_length_are_told_together() -> None:
    days = np.array([7.0, 14.0, 28.0, 30.0, 31.0, 90.0, 92.0, 180.0, 365.0, 730.0])
    assert plan_class(days).tolist() == [-2, -1, 0, 0, 0, 2, 2, 3, 4, 5]


def test_renewals_by_the_length_of_the_plan() -> None:
    counts = pl.DataFrame(
        {
            "plan_class": [4, 0, 0],
            "number": [1, 1, 2],
            "due": [0, 40_000, 40_000],
            "renewed": [0, 20_000, 30_000],
        }
    )
    found = fit_renewals(counts)
    assert list(found) == [0, 4]
    shares = renewal_shares(
        found, np.array([31.0, 31.0, 365.0, 7.0]), np.array([1.0, 2.0, 1.0, 1.0])
    )
    assert shares == pytest.approx([0.5, 0.75, 0.8, 0.8], abs=0.001)
    known = renewal_shares({0: Renewal(1.0, 1.0, 9)}, np.array([30.0]), np.array([1.0]))
    assert known.tolist() == [0.5] and UNKNOWN.num_payments == 0
