"""Customers who have not bought yet: the rates of the two groups by hand."""

import polars as pl
import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.value.prospects import (
    PRIOR_CUSTOMERS,
    fit_prospects,
    prospect_conversion,
    prospect_spend,
)


def prospects(num_silent: int, num_in_touch: int, **columns: list[float]) -> pl.DataFrame:
    count = num_silent + num_in_touch
    views = [0.0] * num_silent + [2.0] * num_in_touch
    return pl.DataFrame(dict.fromkeys(FEATURES, [0.0] * count) | {"view_91d": views} | columns)


def test_rates_of_the_two_groups_by_hand() -> None:
    rows = prospects(
        100,
        50,
        target=[0.0] * 100 + [90.0] * 10 + [0.0] * 40,
        num_orders_ahead=[0] * 100 + [3] * 10 + [0] * 40,
    )
    rates = fit_prospects(rows)
    assert rates is not None
    overall = 900.0 / 150
    assert rates.spend == pytest.approx(
        (
            (0 + PRIOR_CUSTOMERS * overall) / (100 + PRIOR_CUSTOMERS),
            (900 + PRIOR_CUSTOMERS * overall) / (50 + PRIOR_CUSTOMERS),
        )
    )
    assert rates.conversion == pytest.approx(
        (
            (0 + PRIOR_CUSTOMERS / 15) / (100 + PRIOR_CUSTOMERS),
            (10 + PRIOR_CUSTOMERS / 15) / (50 + PRIOR_CUSTOMERS),
        )
    )
    assert rates.order_value == 30.0
    expected, limits = prospect_spend(rates, prospects(1, 1))
    assert expected.tolist() == list(rates.spend)
    for low, high in limits.values():
        assert (low == 0).all() and (high >= expected).all()
    assert prospect_conversion(rates, prospects(1, 1)).tolist() == list(rates.conversion)


def test_shop_without_prospects_has_no_rates() -> None:
    assert fit_prospects(prospects(0, 0, target=[], num_orders_ahead=[])) is None
    assert prospect_conversion(None, prospects(2, 0)).tolist() == [0.0, 0.0]
