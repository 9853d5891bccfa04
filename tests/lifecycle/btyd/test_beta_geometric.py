"""BG/NBD and MBG/NBD against the published CDNOW results, the paper's formulas in mpmath, and simulation."""

from dataclasses import replace
from functools import partial

import mpmath
import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import beta, gamma

from lifecycle.btyd import beta_geometric
from lifecycle.btyd.beta_geometric import BetaGeometricNbd, fit_beta_geometric
from lifecycle.btyd.purchases import (
    cumulative_purchases,
    expected_purchases,
    probability_active,
    probability_no_purchase,
    survival,
)
from tests.builders import REPORT, Columns

CDNOW = BetaGeometricNbd(0.243, 4.414, 0.793, 2.426, 0, REPORT)


fit_bgnbd, fit_mbgnbd = (partial(fit_beta_geometric, first_chances=number) for number in (0, 1))


def simulate(
    seed: int,
    num_customers: int,
    r: float,
    alpha: float,
    a: float,
    b: float,
    first_chances: int = 0,
) -> tuple[np.ndarray, ...]:
    """Summaries of customers who behave as BG/NBD (first_chances 0) or MBG/NBD (1) says."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(num_customers):
        rate, leaving, age = (
            random.gamma(r, 1.0 / alpha),
            random.beta(a, b),
            random.uniform(100, 300),
        )
        now, count, last = random.exponential(1.0 / rate), 0, 0.0
        if first_chances and random.random() < leaving:
            now = np.inf
        while now <= age:
            count, last = count + 1, now
            if random.random() < leaving:
                break
            now += random.exponential(1.0 / rate)
        rows.append((count, last, age))
    return tuple(np.array(rows).T)


def exact_purchases(
    model: BetaGeometricNbd, x: int, t_x: float, age: float, horizon: float
) -> float:
    """Eq. 10 of the paper on BG/NBD, and eq. 13 of that on MBG/NBD, as printed, with 100 digits."""
    with mpmath.workdps(100):
        r, alpha, a, b, t_x, age, t = map(
            mpmath.mpf, (model.r, model.alpha, model.a, model.b, t_x, age, horizon)
        )
        z = t / (alpha + age + t)
        power, spent = (
            ((alpha + age) / (alpha + age + t)) ** (r + x),
            ((alpha + age) / (alpha + t_x)) ** (r + x),
        )
        if model.first_chances:
            kept = power * mpmath.hyp2f1(r + x, b + x + 1, a + b + x, z)
            return float((a + b + x) / (a - 1) * (1 - kept) / (1 + a / (b + x) * spent))
        kept = power * mpmath.hyp2f1(r + x, b + x, a + b + x - 1, z)
        left = a / (b + x - 1) * spent if x else 0
        return float((a + b + x - 1) / (a - 1) * (1 - kept) / (1 + left))


def test_cdnow_sample_gives_published_parameters(cdnow: Columns) -> None:
    model = fit_bgnbd(*cdnow[:3])
    assert model.report.converged and model.report.message == "converged"
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx(
        (0.243, 4.414, 0.793, 2.426), abs=6e-4
    )
    assert model.report.log_likelihood == pytest.approx(-9582.4, abs=0.05)


def test_unit_of_time_changes_alpha_and_density_alone(cdnow: Columns) -> None:
    x, t_x, age, _ = cdnow
    weeks, days = fit_bgnbd(x, t_x, age), fit_bgnbd(x, 7 * t_x, 7 * age)
    assert (days.r, days.alpha / 7, days.a, days.b) == pytest.approx(
        (weeks.r, weeks.alpha, weeks.a, weeks.b), rel=1e-6
    )
    assert days.report.log_likelihood == pytest.approx(
        weeks.report.log_likelihood - x.sum() * np.log(7), rel=1e-9
    )


@pytest.mark.parametrize("first_chances", [0, 1])
@pytest.mark.parametrize(
    "point", [(-1.4, 0.3, -0.2, 0.9), (3.0, -2.0, 4.0, -3.0), (0.0, 5.0, -6.0, 6.0)]
)
def test_value_and_gradient(point: tuple[float, ...], first_chances: int) -> None:
    x, t_x, age = simulate(0, 60, 0.6, 20.0, 0.8, 2.5)
    counts = np.arange(1.0, len(x) + 1)
    objective = beta_geometric._objective([x, t_x / 100, age / 100], counts, first_chances, 0.01)
    r, alpha, a, b = (mpmath.mpf(value) for value in np.exp(point))
    total = mpmath.mpf(0)
    for orders, last, end, count in zip(x, t_x / 100, age / 100, counts, strict=True):
        n, rate = orders + first_chances, r + orders
        kept = mpmath.beta(a, b + n) / mpmath.beta(a, b) / (alpha + end) ** rate
        left = (
            mpmath.beta(a + 1, b + n - 1) / mpmath.beta(a, b) / (alpha + last) ** rate if n else 0
        )
        total += count * mpmath.log(mpmath.gamma(rate) * alpha**r / mpmath.gamma(r) * (kept + left))
    value, gradient = objective(np.array(point))
    assert value == pytest.approx(
        float(-total / counts.sum()) + 0.01 * sum(p**2 for p in point), rel=1e-10
    )
    numeric = approx_fprime(np.array(point), lambda p: objective(p)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


def test_cdnow_sample_gives_the_mbgnbd_of_other_packages(cdnow: Columns) -> None:
    model = fit_mbgnbd(*cdnow[:3])  # the package lifetimes says .525, 6.183, .891, 1.614
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx(
        (0.525, 6.183, 0.891, 1.614), abs=1e-3
    )


@pytest.mark.parametrize("first_chances", [0, 1])
def test_parameters_of_a_simulation_come_back_within_their_errors(first_chances: int) -> None:
    summaries = simulate(1, 4000, 1.0, 20.0, 1.0, 4.0, first_chances)
    model = fit_beta_geometric(*summaries, first_chances=first_chances)
    for name, true in {"r": 1.0, "alpha": 20.0, "a": 1.0, "b": 4.0}.items():
        error = model.report.standard_errors[name]
        assert error is not None and 0.01 < error < 0.5
        assert abs(np.log(getattr(model, name) / true)) < 3 * error


def test_fit_without_dropout_reports_the_bound() -> None:
    model = fit_bgnbd(*simulate(2, 200, 2.0, 20.0, 1e-6, 1.0))
    assert not model.report.converged and "a is on its bound" in model.report.message
    assert (model.r, model.alpha) == pytest.approx((2.0, 20.0), rel=0.3)


def test_penalty_keeps_one_customer_from_the_bounds() -> None:
    column = np.array([58]), np.array([168.0]), np.array([170.0])
    assert not fit_bgnbd(*column).report.converged
    assert fit_bgnbd(*column, penalty=0.05).report.converged


def test_log_likelihood_leaves_the_penalty_out(cdnow: Columns) -> None:
    assert fit_bgnbd(*cdnow[:3], penalty=1e-6).report.log_likelihood == pytest.approx(
        -9582.43, abs=0.01
    )


@pytest.mark.parametrize("a", [5e-5, 0.3, 0.793, 0.999999, 1.0, 1.000003, 3.0, 100.0])
@pytest.mark.parametrize("x", [0, 1, 30, 800])
@pytest.mark.parametrize("horizon", [0.01, 39.0, 1e4])
@pytest.mark.parametrize("first_chances", [0, 1])
def test_expected_purchases_at_extremes(
    a: float, x: int, horizon: float, first_chances: int
) -> None:
    model = replace(CDNOW, a=a, first_chances=first_chances)
    t_x = 35.0 if x else 0.0
    found = expected_purchases(model, np.array([x]), np.array([t_x]), np.array([38.86]), horizon)
    nearby = replace(model, a=a if abs(a - 1.0) > 1e-9 else 1.0 + 1e-12)
    assert found[0] == pytest.approx(exact_purchases(nearby, x, t_x, 38.86, horizon), rel=1e-6)


def test_expected_purchases_where_a_and_b_sum_to_one() -> None:
    model = replace(CDNOW, a=0.25, b=0.75)
    found = expected_purchases(
        model, np.array([0, 2]), np.array([0.0, 9.0]), np.array([38.0, 38.0]), 39.0
    )
    nearby = replace(model, b=0.75 + 1e-12)
    assert found[0] == pytest.approx(exact_purchases(nearby, 0, 0.0, 38.0, 39.0), rel=1e-6)
    assert found[1] == pytest.approx(exact_purchases(nearby, 2, 9.0, 38.0, 39.0), rel=1e-6)


def test_published_expectation_of_one_customer() -> None:
    # Fader, Hardie and Lee 2005: x = 2, t_x = 30.43, T = 38.86 is expected to order 1.226 times in 39 weeks.
    found = expected_purchases(CDNOW, np.array([2]), np.array([30.43]), np.array([38.86]), 39.0)
    assert found[0] == pytest.approx(1.226, abs=1e-3)


def test_probabilities_by_hand() -> None:
    x, t_x, age = (
        np.array([0, 2, 700]),
        np.array([0.0, 30.43, 38.0]),
        np.array([38.86, 38.86, 38.86]),
    )
    active = probability_active(CDNOW, x, t_x, age)
    left = 0.793 / (2.426 + 1) * ((4.414 + 38.86) / (4.414 + 30.43)) ** 2.243
    assert active[:2] == pytest.approx([1.0, 1.0 / (1.0 + left)])
    assert 0.0 <= active[2] < 0.01  # seven hundred orders and then silence for 0.86 weeks of 39
    silent = ((4.414 + 38.86) / (4.414 + 38.86 + 10.0)) ** 2.243
    assert probability_no_purchase(CDNOW, x, t_x, age, 10.0)[1] == pytest.approx(
        active[1] * silent + 1.0 - active[1]
    )
    assert probability_no_purchase(CDNOW, x, t_x, age, 0.0) == pytest.approx([1.0, 1.0, 1.0])


def test_mbgnbd_knows_that_customers_may_leave_after_the_first_order() -> None:
    model = replace(CDNOW, first_chances=1)
    active = probability_active(
        model, np.array([0, 2]), np.array([0.0, 30.43]), np.array([38.86, 38.86])
    )
    once = 0.793 / 2.426 * ((4.414 + 38.86) / 4.414) ** 0.243  # a / b, and no order since
    twice = 0.793 / 4.426 * ((4.414 + 38.86) / (4.414 + 30.43)) ** 2.243
    assert active == pytest.approx([1.0 / (1.0 + once), 1.0 / (1.0 + twice)])


def test_curve_starts_at_nothing_and_never_falls() -> None:
    x, t_x, age = (
        np.array([0, 3, 500]),
        np.array([0.0, 20.0, 38.8]),
        np.array([38.86, 38.86, 38.86]),
    )
    curve = cumulative_purchases(CDNOW, x, t_x, age, np.array([0.0, 1.0, 13.0, 39.0, 1e6]))
    assert curve.shape == (3, 5) and np.isfinite(curve).all()
    np.testing.assert_allclose(curve[:, 0], 0.0, atol=1e-12)
    assert (np.diff(curve, axis=1) >= 0).all()
    np.testing.assert_allclose(curve[:, 3], expected_purchases(CDNOW, x, t_x, age, 39.0))


@pytest.mark.parametrize("a", [0.01, 0.793, 5.0, 100.0])
@pytest.mark.parametrize("x", [0, 2, 400])
@pytest.mark.parametrize("first_chances", [0, 1])
def test_survival_is_the_mean_over_rates_and_dropouts(a: float, x: int, first_chances: int) -> None:
    model, horizons = (
        replace(CDNOW, a=a, first_chances=first_chances),
        np.array([0.0, 2.0, 39.0, 4000.0]),
    )
    t_x = 38.0 if x else 0.0
    found = survival(model, np.array([x]), np.array([t_x]), np.array([38.86]), horizons)
    active = probability_active(model, np.array([x]), np.array([t_x]), np.array([38.86]))
    dropout = beta.ppf((np.arange(100_000) + 0.5) / 100_000, a, model.b + x + first_chances)
    rate = gamma(model.r + x, scale=1.0 / (model.alpha + 38.86))
    rates = rate.ppf((np.arange(2000) + 0.5) / 2000)
    for number, horizon in enumerate(horizons):
        # the mean of exp(-rate p t) over rates is the gamma's Laplace transform; a coarse mean checks that step too
        stays = np.mean((1.0 + dropout * horizon / (model.alpha + 38.86)) ** -(model.r + x))
        assert found[0, number] == pytest.approx(active[0] * stays, rel=1e-3, abs=1e-9)
        coarse = np.mean(np.exp(-np.outer(rates, dropout[::100]) * horizon))
        assert coarse == pytest.approx(stays, abs=2e-3)
    assert (np.diff(found[0]) <= 0).all()
