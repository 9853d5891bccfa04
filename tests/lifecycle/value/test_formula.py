"""The CLV formula by hand."""

import numpy as np
import pytest

from lifecycle.value.formula import discount_rate, present_value


def test_discount_rate_compounds_to_the_annual_one() -> None:
    assert discount_rate(0.12, 365) == pytest.approx(0.12)
    assert (1 + discount_rate(0.12, 73)) ** 5 == pytest.approx(1.12)
    assert discount_rate(0.0, 30) == 0.0


@pytest.mark.parametrize(("annual", "days"), [(-1.0, 30), (float("nan"), 30), (0.1, 0), (0.1, -7)])
def test_impossible_rates_are_refused(annual: float, days: float) -> None:
    with pytest.raises(ValueError, match="annual discount rate|period_days"):
        discount_rate(annual, days)


def test_present_value_by_hand() -> None:
    revenue, cost = np.array([[110.0, 121.0], [0.0, 0.0]]), np.array([[0.0, 60.5], [11.0, 0.0]])
    discounted, clv = present_value(revenue, cost, annual_discount_rate=0.10, period_days=365)
    np.testing.assert_allclose(discounted, [[100.0, 50.0], [-10.0, 0.0]])
    np.testing.assert_allclose(clv, [150.0, -10.0])


def test_without_discount_the_margins_add_up() -> None:
    revenue, cost = np.array([[3.0, 4.0, 5.0]]), np.array([[1.0, 1.0, 1.0]])
    discounted, clv = present_value(revenue, cost, annual_discount_rate=0.0, period_days=30)
    np.testing.assert_array_equal(discounted, revenue - cost)
    np.testing.assert_array_equal(clv, [9.0])


def test_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        present_value(np.ones((2, 3)), np.ones((2, 1)), annual_discount_rate=0.1, period_days=30)
