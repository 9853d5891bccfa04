"""Customers whose standing decides: payments by hand, one story in all numbers, the same answer in any company."""

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.contracts import Renewal
from lifecycle.value.clv import Behaviour, buyer_behaviour, customer_values
from lifecycle.value.costs import CostDefaults, fit_cost_rates
from lifecycle.value.formula import ClvSettings
from lifecycle.value.said import (
    Outlook,
    heeded_outlook,
    heeded_spend,
    plan_payments_ahead,
)
from lifecycle.value.standing import Returns, Standings
from tests.builders import BTYD, customer

HORIZON = 90
SETTINGS = ClvSettings(period_days=30, num_periods=12, annual_discount_rate=0.0)
RULES = Standings(
    returns={
        "cancelled": Returns(share=(0.01, 0.09), orders=2.0, num_rows=50),
        "paused": Returns(share=(0.2, 0.6), orders=1.0, num_rows=50),
        "overdue": Returns(share=(0.05, 0.3), orders=1.0, num_rows=50),
    },
    renewals={0: Renewal(1.0, 4.0, 500), 4: Renewal(1.0, 1.0, 100)},
    announced=0.5,
    paid_ratio=1.0,
)
HABITS = customer(recency_days=8.0, num_orders=3.0)
CANCELLED = customer(recency_days=38.0, num_orders=3.0, cancelled_days=8.0)
LONG_CANCELLED = customer(recency_days=300.0, num_orders=3.0, cancelled_days=270.0)
PAUSED = customer(recency_days=38.0, num_orders=3.0, paused_days=8.0)


def plan(days: float, paid: float, payments: float, amount: float = 10.0) -> pl.DataFrame:
    return customer(
        recency_days=paid,
        num_orders=payments,
        plan_days=days,
        plan_paid_days=paid,
        plan_days_left=days - paid,
        plan_amount=amount,
        num_plan_payments=payments,
    )


MONTHLY = plan(30.0, 20.0, 3.0)
ANNUAL = plan(365.0, 195.0, 2.0, amount=100.0)
EVERYBODY = pl.concat([HABITS, CANCELLED, LONG_CANCELLED, PAUSED, MONTHLY, ANNUAL], how="diagonal")


def outlook_of(examples: pl.DataFrame, total: float = 500.0) -> Outlook:
    totals = np.full(examples.height, total)
    ends = {0.8: (0.5 * totals, 2 * totals), 0.95: (0.0 * totals, 3 * totals)}
    behaviour = buyer_behaviour(examples, BTYD, SETTINGS, HORIZON)
    heard = Outlook(totals, ends, behaviour)
    return heeded_outlook(RULES, examples, heard, SETTINGS, HORIZON)


def behaviour_of(examples: pl.DataFrame) -> Behaviour:
    return outlook_of(examples).behaviour


def test_models_are_believed_where_nothing_was_said() -> None:
    found = outlook_of(HABITS)
    expected = buyer_behaviour(HABITS, BTYD, SETTINGS, HORIZON)
    assert found.total.tolist() == [500.0] and found.bounds[0.8][1].tolist() == [1000.0]
    assert all(
        (vars(found.behaviour)[name] == value).all() for name, value in vars(expected).items()
    )


def test_cancelled_customer_tells_one_story() -> None:
    """Nine of a hundred come back and spend twice their order value of 30; what models expect is not asked."""
    found = outlook_of(CANCELLED)
    assert found.total.tolist() == pytest.approx([0.09 * 2 * 30])
    assert found.behaviour.active.tolist() == [0.09]
    assert found.behaviour.churn.tolist() == [0.91]
    assert (found.behaviour.survival == 0.09).all()
    assert found.behaviour.shares.tolist() == [[pytest.approx(1 / 3)] * 12]
    assert found.bounds[0.8] == (pytest.approx([0.0]), pytest.approx([0.0])), "few are none"
    # The twelve periods are four horizons.
    assert found.bounds[0.95] == (pytest.approx([0.0]), pytest.approx([4 * 60.0]))
    assert heeded_spend(RULES, CANCELLED, np.array([500.0]), HORIZON) == pytest.approx([5.4])


def test_who_cancelled_long_ago_or_paused_has_other_shares() -> None:
    assert behaviour_of(LONG_CANCELLED).churn == pytest.approx([0.99])
    assert behaviour_of(PAUSED).active == pytest.approx([0.6])


def test_high_end_of_a_paused_plan_is_what_who_resumes_goes_on_to_pay() -> None:
    """Payments on days 45, 75, ...: after three, renewals 6 in 7, 7 in 8, ...; the first with the share of .6."""
    paused = MONTHLY.with_columns(paused_days=pl.lit(8.0), total_spend=pl.lit(30.0))
    found = outlook_of(paused)
    chance, due = 0.6, 45.0
    payments = []
    while due < 360.0:
        payments.append(chance)
        paid = 3 + len(payments)
        chance, due = chance * (4 + paid - 1) / (5 + paid - 1), due + 30.0
    for level in (0.8, 0.95):
        number = sum(one > (1 - level) / 2 for one in payments)
        assert found.bounds[level][1] == pytest.approx([10.0 * number])
    assert found.bounds[0.95][1] > found.total
    assert (found.bounds[0.95][1] >= found.bounds[0.8][1]).all() and number == len(payments)


def test_return_to_a_plan_longer_than_the_horizon_is_one_payment() -> None:
    yearly = CANCELLED.with_columns(plan_days=pl.lit(365.0))
    shares = behaviour_of(yearly).shares[0]
    assert shares == pytest.approx([1 / 3] * 3 + [1 / 3 * 0.01 / 0.09] * 9)


def test_monthly_payments_by_hand() -> None:
    """Due in 10, 40 and 70 days; (4 + 2) / (5 + 2) renew after three payments, more who say nothing for long."""
    payments = plan_payments_ahead(RULES, MONTHLY, HORIZON)
    quiet = 0.5 * 2 / 3
    first = 1 - (1 / 7) * (1 - quiet) / (1 - quiet / 7)
    chances = np.cumprod([first, 7 / 8, 8 / 9, 9 / 10])
    assert payments.days[0, :3].tolist() == [10.0, 40.0, 70.0]
    assert payments.chance[0, :3] == pytest.approx(chances[:3])
    assert payments.spend(90.0) == pytest.approx([10 * chances[:3].sum()])
    assert payments.spend(40.0) == pytest.approx([10 * chances[0]]), "half-open"
    assert payments.staying(5.0).tolist() == [1.0]
    assert payments.staying(40.0) == pytest.approx([chances[1]])
    found = outlook_of(MONTHLY)
    assert found.behaviour.churn == pytest.approx([1 - first])
    assert found.behaviour.active.tolist() == [1.0]
    per_period = found.total[0] * found.behaviour.shares[0]
    assert per_period[:3] == pytest.approx(10 * chances[:3])
    assert heeded_spend(RULES, MONTHLY, np.zeros(1), HORIZON) == pytest.approx(per_period[:3].sum())


def test_annual_plan_is_paid_in_its_month_alone() -> None:
    """170 days are left: nothing within the horizon, one renewal in the sixth period, and nobody is lost."""
    found = outlook_of(ANNUAL)
    quiet = 0.5 * 195 / 365
    renewed = 1 - (1 / 3) * (1 - quiet) / (1 - quiet / 3)
    revenue = found.total[0] * found.behaviour.shares[0]
    assert revenue == pytest.approx([0] * 5 + [100 * renewed] + [0] * 6)
    assert heeded_spend(RULES, ANNUAL, np.array([77.0]), HORIZON).tolist() == [0.0]
    assert found.behaviour.churn == pytest.approx([1 - renewed])
    assert found.behaviour.active.tolist() == [1.0]
    assert found.behaviour.survival[0] == pytest.approx([1.0] * 5 + [1.0] + [renewed] * 6)
    assert found.bounds[0.8] == (pytest.approx([0.0]), pytest.approx([100.0]))


def test_due_payment_is_expected_at_once_and_its_customer_as_likely_as_it() -> None:
    late = plan(30.0, 32.0, 3.0)
    payments = plan_payments_ahead(RULES, late, HORIZON)
    assert payments.days[0, 0] == 0.0
    assert payments.active == pytest.approx(payments.chance[:, 0])


def test_plan_beyond_all_periods_is_worth_nothing_yet_and_finite() -> None:
    decade = plan(3650.0, 10.0, 1.0)
    found = outlook_of(decade)
    assert found.total.tolist() == [0.0] and np.isfinite(found.behaviour.shares).all()


def test_free_plan_has_finite_orders() -> None:
    free = plan(30.0, 20.0, 3.0, amount=0.0)
    found = outlook_of(free)
    assert found.total.tolist() == [0.0] and found.behaviour.order_value.tolist() == [0.01]


def test_paid_ratio_moves_what_is_expected_and_not_what_a_payment_is() -> None:
    less = Standings(RULES.returns, RULES.renewals, RULES.announced, paid_ratio=0.5)
    usual = plan_payments_ahead(RULES, MONTHLY, HORIZON)
    half = plan_payments_ahead(less, MONTHLY, HORIZON)
    assert half.spend(90.0) == pytest.approx(0.5 * usual.spend(90.0))
    assert half.amount.tolist() == usual.amount.tolist() == [10.0]


def test_answers_are_the_same_bits_in_any_company() -> None:
    other = [plan(1.0, 0.5, 40.0), plan(7.0, 3.0, 9.0), EVERYBODY]
    together = outlook_of(pl.concat(other, how="diagonal"))
    for row in range(EVERYBODY.height):
        alone = outlook_of(EVERYBODY[row : row + 1])
        assert together.total[2 + row] == alone.total[0]
        for name, value in vars(alone.behaviour).items():
            assert (vars(together.behaviour)[name][2 + row] == value[0]).all(), name
        for level, ends in alone.bounds.items():
            assert [end[2 + row] for end in together.bounds[level]] == [end[0] for end in ends]


def test_identities_of_value_hold_for_everybody() -> None:
    found = outlook_of(EVERYBODY)
    costs = fit_cost_rates(EVERYBODY, CostDefaults(service=0.1))
    values = customer_values(
        EVERYBODY, found.total, found.bounds, found.behaviour, costs, SETTINGS, HORIZON
    )
    np.testing.assert_allclose(values.revenue, values.period_revenue.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(
        values.revenue, values.expected_orders * values.expected_order_value, rtol=1e-9
    )
    np.testing.assert_allclose(values.clv, values.period_discounted.sum(axis=1), rtol=1e-9)
    assert (values.p_active >= 1 - values.churn_probability - 1e-12).all()
    within = values.period_revenue[:, :3].sum(axis=1)
    spend = heeded_spend(RULES, EVERYBODY, np.full(EVERYBODY.height, 500.0), HORIZON)
    np.testing.assert_allclose(within[1:], spend[1:])
