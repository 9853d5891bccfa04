"""What customers may spend: the distribution by hand, and simulated customers over four horizons."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import lognorm

from lifecycle.btyd.beta_geometric import BetaGeometricNbd
from lifecycle.btyd.gamma_gamma import GammaGamma
from lifecycle.btyd.model import Btyd, btyd_churn, btyd_curve, btyd_value
from lifecycle.value.intervals import bounds, fit_intervals, predictive_ranks
from lifecycle.value.outcomes import (
    UNKNOWN_VARIANCE,
    Outcomes,
    buyer_outcomes,
    outcomes_over,
    rank_of_some,
    spend_of_some,
)
from tests.builders import BTYD, REPORT, customer

HORIZON = 60
MODEL = Btyd(
    BetaGeometricNbd(r=1.2, alpha=30.0, a=0.5, b=4.0, first_chances=0, report=REPORT),
    GammaGamma(p=4.0, q=4.0, v=40.0, report=REPORT),
    typical=((2.0, 60.0, 100.0, 30.0),),
)


def test_distribution_by_hand() -> None:
    one = Outcomes(*(np.array([value]) for value in (8.0, 0.2, 0.5, 8.0, 3.0)))
    some = lognorm(s=np.sqrt(0.5), scale=np.exp(np.log(10.0) - 0.25))  # of mean 8 / 0.8
    assert some.mean() == pytest.approx(10.0)
    assert rank_of_some(one, np.array([12.0]), 0.0)[0] == pytest.approx(some.cdf(12.0))
    assert spend_of_some(one, np.array([0.7]), 0.0)[0] == pytest.approx(some.ppf(0.7))
    assert spend_of_some(one, np.array([0.0]), 0.0)[0] == 0.0
    shifted = lognorm(s=np.sqrt(0.5), scale=np.exp(np.log(11.0) - 0.25))
    assert spend_of_some(one, np.array([0.7]), 1.0)[0] == pytest.approx(shifted.ppf(0.7))


def test_rank_and_spend_are_inverse_and_finite_at_all_extremes() -> None:
    nothing = np.array([0.0, 0.0, 0.3, 1.0, 1.0 - 1e-15, 0.99])
    expected = np.array([0.0, 1e-9, 10.0, 5.0, 5.0, 1e9])
    outcomes = Outcomes(expected, nothing, np.full(6, 2.0), expected, np.ones(6))
    for rank in (0.0, 0.025, 0.5, 0.975, 1.0):
        spend = spend_of_some(outcomes, np.full(6, rank), 0.01)
        assert np.isfinite(spend).all() and (spend >= 0).all()
    spend = spend_of_some(outcomes, np.full(6, 0.3), 0.01)
    np.testing.assert_allclose(rank_of_some(outcomes, spend, 0.01), 0.3, atol=1e-9)


def test_over_the_horizon_itself_outcomes_are_what_they_were() -> None:
    examples = pl.concat([customer(), customer(btyd_frequency=0.0, btyd_recency=0.0)])
    spend = np.array([50.0, 3.0])
    within = buyer_outcomes(examples, BTYD, spend, np.array([0.4, 0.9]), HORIZON)
    again = outcomes_over(
        examples, BTYD, spend, within.nothing, HORIZON, expected=spend, days=HORIZON
    )
    for name, values in vars(within).items():
        np.testing.assert_allclose(vars(again)[name], values)


def test_who_bought_nothing_within_the_horizon_may_buy_later() -> None:
    examples = pl.concat([customer()] * 3)
    says = btyd_churn(BTYD, examples, HORIZON)
    later = btyd_churn(BTYD, examples, 4 * HORIZON)
    churn = np.array([says[0], 0.001, 0.999])
    spend = np.full(3, 9.0)
    over = outcomes_over(
        examples, BTYD, spend, churn, HORIZON, expected=2 * spend, days=4 * HORIZON
    )
    assert over.nothing[0] == pytest.approx(later[0])  # where both agree
    assert over.nothing[1] == pytest.approx(0.001 * later[0] / says[0])
    # Who has surely left, by a model that knows more than BTYD, comes back hardly more often.
    left = 1 - 0.001 * (1 - later[0]) / (1 - says[0])
    assert over.nothing[2] == pytest.approx(left)


def test_without_btyd_nobody_leaves_and_the_variance_is_not_known() -> None:
    spend, churn = np.array([5.0]), np.array([0.3])
    within = buyer_outcomes(customer(), None, spend, churn, HORIZON)
    over = outcomes_over(
        customer(), None, spend, churn, HORIZON, expected=2 * spend, days=2 * HORIZON
    )
    assert over.nothing[0] == pytest.approx(0.09)
    assert within.log_variance[0] == over.log_variance[0] == UNKNOWN_VARIANCE


def shop(seed: int, count: int) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Customers of MODEL at a cutoff, and what they spend over one and over four horizons after it."""
    random = np.random.default_rng(seed)
    age = random.uniform(5, 400, count)
    rate = random.gamma(MODEL.purchases.r, 1 / MODEL.purchases.alpha, count)
    leaving = random.beta(MODEL.purchases.a, MODEL.purchases.b, count)
    scale = 1 / random.gamma(MODEL.values.q, 1 / MODEL.values.v, count)
    at = np.zeros(count)
    orders = spent = last = np.zeros(count)
    ahead = {1: np.zeros(count), 4: np.zeros(count)}
    is_active = np.full(count, True)
    orders = np.zeros(count)
    spent = random.gamma(MODEL.values.p, scale)
    while is_active.any():
        at = at + random.exponential(1 / rate)
        amount = random.gamma(MODEL.values.p, scale)
        is_known = is_active & (at < age)
        orders = orders + is_known
        spent = spent + is_known * amount
        last = np.where(is_known, at, last)
        for horizons in ahead:
            is_within = is_active & (at >= age) & (at < age + horizons * HORIZON)
            ahead[horizons] += is_within * amount
        is_active &= (at < age + 4 * HORIZON) & (random.random(count) > leaving)
    examples = pl.DataFrame(
        {
            "btyd_frequency": orders,
            "btyd_recency": last,
            "btyd_age": age,
            "num_order_days": orders + 1,
            "total_spend": spent,
        }
    )
    return examples, ahead[1], ahead[4]


def outcomes_of(examples: pl.DataFrame) -> Outcomes:
    spend = btyd_value(MODEL, examples, HORIZON)
    return buyer_outcomes(examples, MODEL, spend, btyd_churn(MODEL, examples, HORIZON), HORIZON)


@pytest.mark.integration
def test_intervals_over_four_horizons_hold_in_every_segment_and_history() -> None:
    """Calibrated over one horizon alone; truth is simulated."""
    known, spent, _ = shop(0, 20_000)
    intervals = fit_intervals(outcomes_of(known), spent)
    examples, _, actual = shop(1, 40_000)
    within = outcomes_of(examples)
    curve = btyd_curve(MODEL, examples, np.array([HORIZON, 4.0 * HORIZON]))
    expected = within.expected * curve[:, 1] / curve[:, 0]
    over = outcomes_over(
        examples,
        MODEL,
        within.expected,
        within.nothing,
        HORIZON,
        expected=expected,
        days=4 * HORIZON,
    )
    ranks = predictive_ranks(intervals, over, actual, seed=1)
    edges = np.quantile(within.expected, [0.5, 0.8, 0.95])
    segment = np.searchsorted(edges, within.expected)
    days = over.num_order_days
    groups = [segment == number for number in range(4)]
    groups += [days == 1, (days > 1) & (days < 6), days > 5]
    for here in groups:
        for level in (0.8, 0.95):
            count = here.sum()
            margin = max(0.03, 2 * np.sqrt(level * (1 - level) / count))
            found = np.mean(np.abs(ranks[here] - 0.5) <= level / 2)
            assert found == pytest.approx(level, abs=margin), (count, level)
    low, high = bounds(intervals, over)[0.8]
    inside = (actual >= low) & (actual <= high)
    assert inside[over.nothing < 0.7].mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.integration
def test_bounds_of_one_horizon_in_proportion_do_not_hold_over_four() -> None:
    """What the model of later survival is for."""
    known, spent, _ = shop(0, 20_000)
    intervals = fit_intervals(outcomes_of(known), spent)
    examples, _, actual = shop(1, 40_000)
    within = outcomes_of(examples)
    curve = btyd_curve(MODEL, examples, np.array([HORIZON, 4.0 * HORIZON]))
    over = replace(within, expected=within.expected * curve[:, 1] / curve[:, 0])
    ranks = predictive_ranks(intervals, over, actual, seed=1)
    has_one = over.num_order_days == 1
    assert abs(np.mean(np.abs(ranks[has_one] - 0.5) <= 0.4) - 0.8) > 0.03
