"""Renewals of plans: the shares of the model by hand, and parameters found again in simulated payments."""

import numpy as np
import pytest

from lifecycle.btyd.contracts import PRIOR_PAYMENTS, UNKNOWN, Renewal, fit_renewal


def test_those_who_have_paid_longer_are_likelier_to_stay() -> None:
    shares = Renewal(a=1.0, b=3.0, num_payments=0).renewed(np.array([1.0, 2.0, 5.0]))
    assert shares.tolist() == [3 / 4, 4 / 5, 7 / 8]


def test_survival_is_the_ratio_of_beta_functions() -> None:
    """Fader and Hardie 2007, equation 6: S(t) = B(a, b + t) / B(a, b)."""
    from scipy.special import beta

    a, b = 0.7, 4.2
    shares = Renewal(a, b, 0).renewed(np.arange(1.0, 13.0))
    assert np.cumprod(shares) == pytest.approx(beta(a, b + np.arange(1, 13)) / beta(a, b))


def test_parameters_of_simulated_payments_are_found_again() -> None:
    random = np.random.default_rng(5)
    leaving = random.beta(1.5, 8.0, 30_000)
    payments = random.geometric(leaving)
    number = np.arange(1, 25)
    due = np.array([(payments >= k).sum() for k in number])
    renewed = np.array([(payments > k).sum() for k in number])
    found = fit_renewal(number.astype(float), due.astype(float), renewed.astype(float))
    assert (found.a, found.b) == pytest.approx((1.5, 8.0), rel=0.1)
    assert found.num_payments == due.sum()


def test_without_payments_the_prior_is_told_and_few_hardly_move_it() -> None:
    first = np.ones(1)
    nothing = fit_renewal(np.empty(0), np.empty(0), np.empty(0))
    assert nothing.renewed(first) == pytest.approx(UNKNOWN.renewed(first), abs=1e-4)
    none_of_two = fit_renewal(first, 2 * first, 0 * first)
    assert none_of_two.renewed(first)[0] == pytest.approx(0.8 * PRIOR_PAYMENTS / 22, abs=1e-4)


def test_plan_that_nobody_leaves_keeps_a_share_below_one() -> None:
    number = np.arange(1.0, 10.0)
    due = np.full(9, 1000.0)
    shares = fit_renewal(number, due, due).renewed(number)
    assert (shares > 0.99).all() and (shares < 1.0).all()
