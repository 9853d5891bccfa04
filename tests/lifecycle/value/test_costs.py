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
    # Nobody counts for more than 100: neither the others' 110, nor what was mistyped.
    taken_back = 200 * 15.0 * 100 / 110 + 81_005.0 * 100 / 81_100
    assert costs.refunds.rate == pytest.approx(taken_back / (201 * 100.0))
    own = customer_rates(mistyped, costs)["refunds"]
    assert own == pytest.approx([(5.0 + costs.refunds.rate * 100.0) / 200.0])
    only = [customer(total_spend=100.0, total_cancelled=10.0, known_days=1.0)] * 3
    assert fit_cost_rates(pl.concat(only), DEFAULTS).refunds.is_learned


def test_a_mistyped_order_that_was_cancelled_is_not_the_refund_rate_of_the_shop() -> None:
    rows = [customer(total_spend=100.0, total_refunded=5.0, known_days=1.0)] * 200
    mistyped = customer(total_spend=81_095.0, total_refunded=81_000.0, known_days=1.0)
    costs = fit_cost_rates(pl.concat([*rows, mistyped]), DEFAULTS)
    taken_back = 200 * 5.0 + 81_000.0 * 100 / 81_095
    assert costs.refunds.rate == pytest.approx(taken_back / (201 * 100.0))
    assert fit_cost_rates(pl.concat(rows), DEFAULTS).refunds.rate == pytest.approx(0.05)


def test_giants_count_for_less_at_rates_of_their_own() -> None:
    """Four giants at the shop's own rates: neither refunds nor goods become all of what they buy."""
    usual = customer(total_spend=100.0, total_refunded=2.0, total_goods_cost=50.0, known_days=1.0)
    giant = customer(
        total_spend=90_000.0, total_refunded=1800.0, total_goods_cost=45_000.0, known_days=1.0
    )
    costs = fit_cost_rates(pl.concat([usual] * 500 + [giant] * 4), DEFAULTS)
    assert costs.refunds.rate == pytest.approx(0.02)
    assert costs.goods.rate == pytest.approx(0.5)
