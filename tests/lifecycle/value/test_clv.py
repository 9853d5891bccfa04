"""Lifetime value: the identities of the contract, the bounds, and a customer worked by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import lognorm

from lifecycle.btyd.model import Btyd, btyd_curve, btyd_survival
from lifecycle.btyd.season import Season
from lifecycle.decisions.segments import SegmentThresholds
from lifecycle.value.clv import (
    CustomerValues,
    buyer_behaviour,
    customer_values,
    prospect_behaviour,
)
from lifecycle.value.costs import (
    PRIOR_DAYS,
    CostDefaults,
    CostRate,
    CostRates,
    fit_cost_rates,
)
from lifecycle.value.formula import ClvSettings
from lifecycle.value.intervals import NUM_GROUPS, PROBABILITIES, Intervals
from lifecycle.value.prospects import ProspectRates, prospect_bounds, prospect_spend
from tests.builders import BTYD, customer

HORIZON = 60
SETTINGS = ClvSettings(period_days=30, num_periods=4, annual_discount_rate=0.1)
FREE = CostRate(0.0, is_learned=True)
NO_COSTS = CostRates(FREE, FREE, FREE, FREE, mean_spend=50.0)
DEFAULTS = CostDefaults()


def many(num_customers: int = 200) -> pl.DataFrame:
    """Customers of all kinds: one order or many, free ones, refunds above their spend, costs above it."""
    random = np.random.default_rng(1)
    frequency = random.integers(0, 12, num_customers).astype(float)
    age = random.uniform(1, 400, num_customers)
    frame = pl.concat([customer()] * num_customers)
    return frame.with_columns(
        btyd_frequency=pl.Series(frequency),
        btyd_age=pl.Series(age),
        btyd_recency=pl.Series(np.where(frequency > 0, random.uniform(0, age), 0.0)),
        num_order_days=pl.Series(frequency + 1),
        total_spend=pl.Series(random.choice([0.0, 0.001, 20.0, 1e7], num_customers)),
        total_refunded=pl.Series(random.choice([0.0, 5.0, 100.0], num_customers)),
        total_goods_cost=pl.Series(random.choice([0.0, 10.0, 40.0], num_customers)),
        total_service_cost=pl.Series(random.choice([0.0, 300.0], num_customers)),
        total_marketing_cost=pl.Series(random.choice([0.0, 50.0], num_customers)),
        tenure_days=pl.Series(age),
        known_days=pl.Series(age),
    )


def values_of(
    examples: pl.DataFrame, total: np.ndarray, btyd: Btyd | None, costs: CostRates
) -> CustomerValues:
    bounds = {0.8: (0.5 * total, 2.0 * total), 0.95: (np.zeros_like(total), 3.7 * total)}
    behaviour = buyer_behaviour(examples, btyd, SETTINGS, HORIZON)
    return customer_values(examples, total, bounds, behaviour, costs, SETTINGS, HORIZON)


@pytest.mark.parametrize("btyd", [BTYD, None])
def test_identities_of_value_revenue_and_orders(btyd: Btyd | None) -> None:
    examples = many()
    total = np.random.default_rng(2).choice([0.0, 0.01, 30.0, 1e6], examples.height)
    values = values_of(examples, total, btyd, fit_cost_rates(examples, DEFAULTS))
    np.testing.assert_allclose(values.revenue, values.period_revenue.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(
        values.revenue, values.expected_orders * values.expected_order_value, rtol=1e-9
    )
    np.testing.assert_allclose(values.clv, values.period_discounted.sum(axis=1), rtol=1e-9)
    costs = values.refunds + values.goods_cost + values.service_cost + values.marketing_cost
    np.testing.assert_allclose(values.period_cost.sum(axis=1), costs, rtol=1e-9)
    np.testing.assert_allclose(
        values.clv, values.revenue - costs - values.discounting, rtol=1e-9, atol=1e-6
    )
    for name, column in vars(values).items():
        if isinstance(column, np.ndarray):
            assert np.isfinite(column).all(), name
    assert ((values.p_active >= 0) & (values.p_active <= 1)).all()
    assert ((values.churn_probability >= 0) & (values.churn_probability <= 1)).all()


@pytest.mark.parametrize("btyd", [BTYD, None])
def test_bounds_hold_each_other_also_where_costs_exceed_revenue(btyd: Btyd | None) -> None:
    examples = many()
    total = np.random.default_rng(3).uniform(0, 40, examples.height)
    bounds = {0.8: (0.7 * total, 0.8 * total), 0.95: (0.3 * total, 0.9 * total)}
    behaviour = buyer_behaviour(examples, btyd, SETTINGS, HORIZON)
    values = customer_values(
        examples, total, bounds, behaviour, fit_cost_rates(examples, DEFAULTS), SETTINGS, HORIZON
    )
    assert (values.clv < 0).any() and (values.clv > 0).any()
    (low_80, high_80), (low_95, high_95) = values.clv_bounds[0.8], values.clv_bounds[0.95]
    ordered = np.stack([low_95, low_80, high_80, high_95])
    assert (np.diff(ordered, axis=0) >= 0).all()
    assert (values.clv > high_95).any()  # what is expected may lie outside


def test_bounds_are_the_values_of_the_revenues_at_their_ends() -> None:
    examples, costs = many(20), fit_cost_rates(many(20), DEFAULTS)
    total = np.linspace(1, 50, 20)
    values = values_of(examples, total, BTYD, costs)
    shares = buyer_behaviour(examples, BTYD, SETTINGS, HORIZON).shares.sum(axis=1)
    low = values_of(examples, 0.5 * total / shares, BTYD, costs)
    high = values_of(examples, 3.7 * total / shares, BTYD, costs)
    np.testing.assert_allclose(values.clv_bounds[0.8][0], low.clv)
    np.testing.assert_allclose(values.clv_bounds[0.95][1], high.clv)


def test_total_is_spread_by_the_curve_within_the_horizon_and_goes_on_beyond() -> None:
    values = values_of(customer(), np.array([80.0]), BTYD, NO_COSTS)
    curve = btyd_curve(BTYD, customer(), np.array([30.0, 60.0, 90.0, 120.0]))[0]
    np.testing.assert_allclose(
        values.period_revenue[0], 80.0 * np.diff(curve, prepend=0.0) / curve[1]
    )
    np.testing.assert_allclose(values.period_revenue[0, :2].sum(), 80.0)
    assert values.extrapolated.tolist() == [False, False, True, True]


def test_standing_costs_fall_with_survival() -> None:
    costs = replace(NO_COSTS, service=CostRate(0.2, is_learned=True))
    values = values_of(customer(), np.array([80.0]), BTYD, costs)
    daily = 0.2 * PRIOR_DAYS / (0 + PRIOR_DAYS)
    stays = btyd_survival(BTYD, customer(), np.array([15.0, 45.0, 75.0, 105.0]))[0]
    np.testing.assert_allclose(values.period_cost[0], 30 * daily * stays)
    assert (np.diff(values.period_cost[0]) < 0).all() and stays[0] < values.p_active[0]


def test_without_btyd_a_customer_by_hand() -> None:
    examples = customer(known_days=100.0, total_refunded=9.0, total_service_cost=19.0)
    costs = replace(NO_COSTS, mean_spend=90.0, marketing=CostRate(0.1, is_learned=True))
    values = values_of(examples, np.array([60.0]), None, costs)
    refund_rate, service = 9.0 / 180.0, 19.0 / (100 + PRIOR_DAYS)  # half the shop's rate of nothing
    marketing = 0.1 * PRIOR_DAYS / (100 + PRIOR_DAYS)
    margin = 30.0 * (1 - refund_rate) - 30 * (service + marketing)
    period = 1.1 ** (30 / 365)
    np.testing.assert_allclose(values.period_revenue, [[30.0] * 4])
    np.testing.assert_allclose(values.clv, [sum(margin / period**t for t in (1, 2, 3, 4))])
    np.testing.assert_allclose(values.expected_order_value, [30.0])
    np.testing.assert_allclose(values.expected_orders, [4.0])
    assert (values.p_active[0], values.churn_probability[0]) == (1.0, 0.0)


def test_who_buys_below_cost_has_a_negative_value_and_bounds_in_order() -> None:
    examples = customer(total_spend=90.0, total_goods_cost=180.0, known_days=100.0)
    costs = replace(NO_COSTS, mean_spend=90.0, goods=CostRate(0.5, is_learned=True))
    values = values_of(examples, np.array([60.0]), None, costs)
    np.testing.assert_allclose(values.goods_cost, (180.0 + 45.0) / 180.0 * values.revenue)
    low, high = values.clv_bounds[0.95]  # the more it buys, the worse
    revenue = 60.0 * 4 * 30 / HORIZON  # four periods, of which the horizon has two
    np.testing.assert_allclose(low, values.clv * 3.7 * 60.0 / revenue)
    assert low < values.clv < high == 0.0


def test_defaults_hold_for_everybody_where_the_data_have_no_such_cost() -> None:
    examples = pl.concat(
        [customer(total_spend=50.0, total_goods_cost=20.0, known_days=10.0), customer()]
    )
    costs = fit_cost_rates(examples, CostDefaults(goods=0.9, service=0.03, refunds=0.1))
    assert costs.goods.is_learned and costs.goods.rate == pytest.approx(
        20.0 / 140.0, rel=0.01
    )  # spend is capped
    values = values_of(examples, np.array([60.0, 10.0]), None, costs)
    np.testing.assert_allclose(values.service_cost, 0.03 * 120)
    np.testing.assert_allclose(values.refunds, 0.1 * values.revenue)


def test_customers_are_discounted_at_their_own_rates() -> None:
    examples = pl.concat([customer()] * 2).with_columns(annual_discount_rate=pl.Series([None, 0.5]))
    values = values_of(examples, np.array([60.0, 60.0]), None, NO_COSTS)
    assert values.annual_discount_rate.tolist() == [SETTINGS.annual_discount_rate, 0.5]
    for row, rate in enumerate(values.annual_discount_rate):
        factors = (1 + rate) ** (-30 / 365 * np.arange(1, 5))
        np.testing.assert_allclose(
            values.period_discounted[row], values.period_revenue[row] * factors
        )
    np.testing.assert_allclose(values.clv_bounds[0.8][1] / values.clv, 2.0 * 60.0 / 120.0)


def test_shop_without_money_has_rates_and_no_value() -> None:
    examples = pl.concat([customer(total_spend=0.0, known_days=0.0)] * 3)
    costs = fit_cost_rates(examples, DEFAULTS)
    values = values_of(examples, np.zeros(3), None, costs)
    assert (costs.refunds.rate, costs.service.rate) == (0.0, 0.0)
    assert values.clv.tolist() == [0.0] * 3 and values.expected_orders.tolist() == [0.0] * 3


def test_prospect_by_hand() -> None:
    """As active as likely to buy: costs count by that chance, spend is spread evenly, orders follow the rates."""
    never = SegmentThresholds(100.0, 100.0, 100.0)  # nobody is above, so all are of the first group
    limits = Intervals(
        (0.8,), never, 0.0, (tuple(PROBABILITIES.tolist()),) * NUM_GROUPS, (0.0,) * NUM_GROUPS
    )
    rates = ProspectRates(
        conversion=(0.1, 0.5),
        spend=(2.0, 12.0),
        order_value=24.0,
        log_variance=1.0,
        intervals=limits,
    )
    examples = customer(known_days=None, total_spend=0.0, view_91d=3.0)
    costs = replace(
        NO_COSTS,
        mean_spend=90.0,
        refunds=CostRate(0.25, is_learned=True),
        service=CostRate(0.1, is_learned=True),
    )
    total = prospect_spend(rates, examples)
    bounds = prospect_bounds(rates, examples, 2.0)
    behaviour = prospect_behaviour(examples, rates, SETTINGS, HORIZON)
    values = customer_values(examples, total, bounds, behaviour, costs, SETTINGS, HORIZON)
    np.testing.assert_allclose(
        values.period_revenue, [[6.0] * 4]
    )  # 12 within 60 days, so 6 in each period of 30
    np.testing.assert_allclose(values.period_cost, [[0.25 * 6.0 + 30 * 0.5 * 0.1] * 4])
    np.testing.assert_allclose(
        (values.expected_orders, values.expected_order_value), [[1.0], [24.0]]
    )
    assert (values.p_active[0], values.churn_probability[0]) == (0.5, 0.5)
    # Of four such prospects one buys nothing in two horizons: 24 is spent in all, and 32 by who buys.
    variance = np.log(0.75 * (np.e / 0.5 + 1.0) / 2.0)
    some = lognorm(s=np.sqrt(variance), scale=32.0 * np.exp(-variance / 2.0))
    low, high = bounds[0.8]
    assert (low[0], high[0]) == (0.0, pytest.approx(some.ppf((0.8 - 0.25) / 0.75)))
    assert values.clv_bounds[0.8][0] < values.clv_bounds[0.8][1]


def test_prospects_of_a_shop_that_never_had_any_are_worth_nothing() -> None:
    examples = customer(known_days=None, total_spend=0.0)
    total = prospect_spend(None, examples)
    bounds = prospect_bounds(None, examples, 2.0)
    behaviour = prospect_behaviour(examples, None, SETTINGS, HORIZON)
    values = customer_values(examples, total, bounds, behaviour, NO_COSTS, SETTINGS, HORIZON)
    assert (
        values.clv[0],
        values.expected_orders[0],
        values.p_active[0],
        values.churn_probability[0],
    ) == (0, 0, 0, 1)


def test_periods_follow_the_season_and_keep_the_total_of_the_horizon() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    examples = many(30).with_columns(cutoff=pl.lit(start))
    months = [start + timedelta(days=14 + 30.5 * number) for number in range(12)]
    factors = [0.5, 2.0, 1.0, *[0.9] * 9]
    season = Season(
        months={f"{day:%Y-%m}": factor for day, factor in zip(months, factors, strict=True)},
        cutoff=start.date(),
    )
    even = buyer_behaviour(examples, BTYD, SETTINGS, HORIZON)
    seasonal = buyer_behaviour(examples, BTYD, SETTINGS, HORIZON, season)
    assert HORIZON % SETTINGS.period_days == 0
    within = HORIZON // SETTINGS.period_days
    np.testing.assert_allclose(seasonal.shares[:, :within].sum(axis=1), 1.0)
    np.testing.assert_allclose(even.shares[:, :within].sum(axis=1), 1.0)
    change = seasonal.shares / even.shares
    assert (change[:, 1] > 1.3 * change[:, 0]).all()
