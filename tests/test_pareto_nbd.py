"""Pareto/NBD against published results, the likelihood's integral in mpmath, and simulation."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from lifecycle.value import pareto_nbd
from lifecycle.value.pareto_nbd import (
    ParetoNbd,
    cumulative_purchases,
    expected_purchases,
    fit_pareto_nbd,
    probability_active,
    probability_no_purchase,
    survival,
)
from tests.conftest import Columns

CDNOW = ParetoNbd(0.553, 10.578, 0.606, 11.669, -9595.0, True, 20, "converged")


def customers(seed: int, number: int, r: float, alpha: float, s: float, beta: float) -> tuple[np.ndarray, ...]:
    """Rates, lifetimes and ages (days seen) of customers who behave as Pareto/NBD says."""
    random = np.random.default_rng(seed)
    rate, lifetime = random.gamma(r, 1 / alpha, number), random.exponential(1 / random.gamma(s, 1 / beta, number))
    return rate, lifetime, random.uniform(100, 300, number)


def simulate(seed: int, number: int, *parameters: float) -> tuple[np.ndarray, ...]:
    """Their summaries."""
    random = np.random.default_rng(seed + 1)
    rows = []
    for rate, lifetime, age in zip(*customers(seed, number, *parameters), strict=True):
        orders = random.uniform(0, min(lifetime, age), random.poisson(rate * min(lifetime, age)))
        rows.append((len(orders), orders.max() if len(orders) else 0.0, age))
    return tuple(np.array(rows).T)


def exact_log_likelihood(r: float, alpha: float, s: float, beta: float, x: float, t_x: float, age: float) -> mpmath.mpf:
    """The likelihood as Schmittlein, Morrison and Colombo derive it, its integral by mpmath."""
    with mpmath.workdps(40):
        r, alpha, s, beta, x, t_x, age = map(mpmath.mpf, (r, alpha, s, beta, x, t_x, age))
        stays = (alpha + age) ** -(r + x) * (beta + age) ** -s

        def leaves(y: mpmath.mpf) -> mpmath.mpf:
            return s * (alpha + y) ** -(r + x) * (beta + y) ** -(s + 1)

        pieces = [t_x, *(t_x + (age - t_x) / 2**power for power in range(20, -1, -1))]
        integral = mpmath.quad(leaves, pieces) if t_x < age else 0
        front = mpmath.loggamma(r + x) - mpmath.loggamma(r) + r * mpmath.log(alpha) + s * mpmath.log(beta)
        return front + mpmath.log(stays + integral)


def test_cdnow_sample_gives_published_parameters(cdnow: Columns) -> None:
    # Fader, Hardie and Lee 2005, table 2
    model = fit_pareto_nbd(*cdnow[:3])
    assert model.converged and model.message == "converged"
    assert (model.r, model.alpha, model.s, model.beta) == pytest.approx((0.553, 10.578, 0.606, 11.669), rel=2e-3)
    assert model.log_likelihood == pytest.approx(-9595.0, abs=0.1)


@pytest.mark.parametrize("point", [(-0.6, -1.1, -0.5, -1.0), (1.5, 1.0, -2.0, 2.0), (0.0, -2.0, 1.0, 3.0)])
def test_value_and_gradient(point: tuple[float, ...]) -> None:
    x, t_x, age = simulate(0, 8, 0.6, 20.0, 0.8, 60.0)
    counts = np.arange(1.0, len(x) + 1)
    objective = pareto_nbd._objective(x, t_x / 200, age / 200, counts, 0.01)
    total = sum(
        count * exact_log_likelihood(*np.exp(point), n, last, end)
        for n, last, end, count in zip(x, t_x / 200, age / 200, counts, strict=True)
    )
    value, gradient = objective(np.array(point))
    assert value == pytest.approx(float(-total / counts.sum()) + 0.01 * sum(p**2 for p in point), rel=1e-8)
    numeric = approx_fprime(np.array(point), lambda p: objective(p)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(10.578, 11.669), (10.0, 10.0), (2.0, 200.0), (200.0, 5.0)])
@pytest.mark.parametrize(
    ("x", "t_x", "age"), [(0, 0.0, 38.86), (1, 38.86, 38.86), (3, 1.0, 38.0), (900, 30.0, 38.0), (2, 20.0, 20.0001)]
)
def test_probability_of_being_a_customer_over_the_whole_range(
    alpha: float, beta: float, x: int, t_x: float, age: float
) -> None:
    model = replace(CDNOW, alpha=alpha, beta=beta)
    found = probability_active(model, np.array([x]), np.array([t_x]), np.array([age]))[0]
    whole = exact_log_likelihood(model.r, alpha, model.s, beta, x, t_x, age)
    with mpmath.workdps(40):
        front = mpmath.loggamma(model.r + x) - mpmath.loggamma(model.r)
        front += model.r * mpmath.log(alpha) + model.s * mpmath.log(beta)
        stays = -(model.r + x) * mpmath.log(alpha + age) - model.s * mpmath.log(beta + age)
        assert found == pytest.approx(float(mpmath.exp(front + stays - whole)), rel=1e-6, abs=1e-30)


def test_parameters_of_a_simulation_come_back() -> None:
    model = fit_pareto_nbd(*simulate(1, 5000, 1.2, 20.0, 0.9, 80.0))
    assert model.converged
    assert (model.r, model.alpha, model.s, model.beta) == pytest.approx((1.2, 20.0, 0.9, 80.0), rel=0.25)


def test_what_customers_do_next_is_what_the_model_expects() -> None:
    parameters, horizon, number = (1.2, 20.0, 0.9, 80.0), 90.0, 40_000
    rate, lifetime, age = customers(7, number, *parameters)
    x, t_x, seen = simulate(7, number, *parameters)
    np.testing.assert_array_equal(seen, age)
    random = np.random.default_rng(9)
    ahead = np.clip(np.minimum(lifetime - age, horizon), 0, None)
    orders, model = random.poisson(rate * ahead), ParetoNbd(*parameters, 0.0, True, 1, "")
    for chosen in (x == 0, x == 1, x > 4, age - t_x < 10):
        summary = x[chosen], t_x[chosen], age[chosen]
        error = orders[chosen].std() / np.sqrt(chosen.sum())
        assert expected_purchases(model, *summary, horizon).mean() == pytest.approx(
            orders[chosen].mean(), abs=4 * error
        )
        spread = 4 * 0.5 / np.sqrt(chosen.sum())
        alive, none = (lifetime > age)[chosen].mean(), (orders[chosen] == 0).mean()
        assert probability_active(model, *summary).mean() == pytest.approx(alive, abs=spread)
        assert probability_no_purchase(model, *summary, horizon).mean() == pytest.approx(none, abs=spread)
        stays = survival(model, *summary, np.array([0.0, horizon]))
        assert stays[:, 1].mean() == pytest.approx((lifetime > age + horizon)[chosen].mean(), abs=spread)


def test_curve_is_smooth_where_s_is_one_and_starts_at_nothing() -> None:
    x, t_x, age = np.array([0, 3, 500]), np.array([0.0, 20.0, 38.8]), np.array([38.86, 38.86, 38.86])
    horizons = np.array([0.0, 1.0, 13.0, 39.0, 1e6])
    one, near = (cumulative_purchases(replace(CDNOW, s=s), x, t_x, age, horizons) for s in (1.0, 1.0 + 1e-7))
    np.testing.assert_allclose(one, near, rtol=1e-5)
    np.testing.assert_array_equal(one[:, 0], 0.0)
    assert (np.diff(one, axis=1) >= 0).all() and np.isfinite(one).all()
    np.testing.assert_allclose(one[:, 3], expected_purchases(replace(CDNOW, s=1.0), x, t_x, age, 39.0))


def test_impossible_summaries_are_refused() -> None:
    with pytest.raises(ValueError, match="recency must lie between 0 and age, but it is 9.0 in row 1"):
        fit_pareto_nbd(np.array([1, 2]), np.array([1.0, 9.0]), np.array([5.0, 8.0]))
    with pytest.raises(ValueError, match="none of 2 customers ordered on a second day"):
        fit_pareto_nbd(np.zeros(2), np.zeros(2), np.array([5.0, 8.0]))
