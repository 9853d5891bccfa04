"""Cost rates of a shop and of its customers: what a mistyped order does not change."""

import polars as pl
import pytest

from lifecycle.value.costs import (
    CostDefaults,
    customer_rates,
    fit_cost_rates,
)
from tests.builders import customer

DEFAULTS = CostDefaults()


def test_cancelled_lines_are_refunds_of_the_shop_but_not_of_who_mistyped() -> None:
    mistyped = customer(
        total_spend=100.0, total_refunded=5.0, total_cancelled=81_000.0, known_days=1.0
    )
    others = [
        customer(total_spend=100.0, total_refunded=5.0, total_cancelled=10.0, known_days=1.0)
    ] * 200
    costs = fit_cost_rates(pl.concat([*others, mistyped]), DEFAULTS)
    assert costs.refunds.rate == pytest.approx(
        (200 * 15.0 + 100.0) / (201 * 100.0)
    )  # nobody counts for more than 100
    own = customer_rates(mistyped, costs)["refunds"]
    assert own == pytest.approx([(5.0 + costs.refunds.rate * 100.0) / 200.0])
    only = [customer(total_spend=100.0, total_cancelled=10.0, known_days=1.0)] * 3
    assert fit_cost_rates(pl.concat(only), DEFAULTS).refunds.is_learned


def test_a_mistyped_order_that_was_cancelled_is_not_the_refund_rate_of_the_shop() -> None:
    rows = [customer(total_spend=100.0, total_refunded=5.0, known_days=1.0)] * 200
    mistyped = customer(total_spend=81_095.0, total_refunded=81_000.0, known_days=1.0)
    costs = fit_cost_rates(pl.concat([*rows, mistyped]), DEFAULTS)
    assert costs.refunds.rate == pytest.approx((200 * 5.0 + 100.0) / (201 * 100.0))
    assert fit_cost_rates(pl.concat(rows), DEFAULTS).refunds.rate == pytest.approx(0.05)
