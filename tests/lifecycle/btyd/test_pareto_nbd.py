"""Pareto/NBD against the published CDNOW results, integration over rates in mpmath, and simulation."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from lifecycle.btyd import pareto_nbd
from lifecycle.btyd.pareto_nbd import ParetoNbd, fit_pareto_nbd
from lifecycle.btyd.purchases import (
    expected_purchases,
    probability_active,
    probability_no_purchase,
    survival,
)
from tests.builders import REPORT, Columns

CDNOW = ParetoNbd(0.553, 10.578, 0.606, 11.669, REPORT)


def simulate(
    seed: int, num_customers: int, model: ParetoNbd, ages: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, t_x, T of customers who behave as Pareto/NBD says, and the time when each leaves."""
    random = np.random.default_rng(seed)
    rate, leaves = random.gamma(model.r, 1.0 / model.alpha, num_customers), np.empty(num_customers)
    leaves = random.exponential(1.0, num_customers) / random.gamma(
        model.s, 1.0 / model.beta, num_customers
    )
    age = random.uniform(*ages, num_customers)
    x = random.poisson(rate * np.minimum(leaves, age)).astype(float)
    t_x = np.where(
        x > 0, random.beta(np.maximum(x, 1.0), 1.0) * np.minimum(leaves, age), 0.0
    )  # the latest of x
    return x, t_x, age, leaves


def exact_likelihood(
    r: float, alpha: float, s: float, beta: float, x: int, t_x: float, age: float
) -> mpmath.mpf:
    """As the paper derives it: rates integrated out in closed form, the time of leaving numerically."""
    with mpmath.workdps(30):
        r, alpha, s, beta, t_x, age = map(mpmath.mpf, (r, alpha, s, beta, t_x, age))
        stayed = (alpha + age) ** -(r + x) * (beta + age) ** -s
        pieces = [t_x, *(t_x + (age - t_x) * mpmath.mpf(2) ** -k for k in range(8, -1, -1))]
        left = mpmath.quad(lambda t: (alpha + t) ** -(r + x) * (beta + t) ** -(s + 1), pieces)
        return mpmath.gamma(r + x) / mpmath.gamma(r) * alpha**r * beta**s * (stayed + s * left)


def test_cdnow_sample_gives_published_parameters(cdnow: Columns) -> None:
    model = fit_pareto_nbd(*cdnow[:3])
    assert model.report.converged and model.report.log_likelihood == pytest.approx(
        -9595.0, abs=0.05
    )
    assert (model.r, model.s) == pytest.approx((0.553, 0.606), abs=6e-4)
    assert (model.alpha, model.beta) == pytest.approx((10.578, 11.669), abs=2e-3)


def test_unit_of_time_changes_alpha_beta_and_density_alone(cdnow: Columns) -> None:
    x, t_x, age, _ = cdnow
    weeks, days = fit_pareto_nbd(x, t_x, age), fit_pareto_nbd(x, 7 * t_x, 7 * age)
    assert (days.r, days.alpha / 7, days.s, days.beta / 7) == pytest.approx(
        (weeks.r, weeks.alpha, weeks.s, weeks.beta), rel=1e-5
    )
    assert days.report.log_likelihood == pytest.approx(
        weeks.report.log_likelihood - x.sum() * np.log(7), rel=1e-9
    )


@pytest.mark.integration
def test_two_rates_integrated_out_numerically_give_the_same_likelihood() -> None:
    r, alpha, s, beta, x, t_x, age = 0.8, 2.0, 1.3, 3.0, 2, 1.5, 4.0

    def density(rate: mpmath.mpf, leaving: mpmath.mpf) -> mpmath.mpf:
        """Of x orders at given rates: having stayed until T, or having left between t_x and T."""
        both = rate + leaving
        outcome = (
            mpmath.exp(-both * age)
            + leaving * (mpmath.exp(-both * t_x) - mpmath.exp(-both * age)) / both
        )
        priors = alpha**r * rate ** (r - 1) * mpmath.exp(-alpha * rate) / mpmath.gamma(r)
        priors *= beta**s * leaving ** (s - 1) * mpmath.exp(-beta * leaving) / mpmath.gamma(s)
        return priors * rate**x * outcome

    with mpmath.workdps(15):
        total = mpmath.quad(density, [0, 1, 8], [0, 1, 8])
    assert float(total) == pytest.approx(
        float(exact_likelihood(r, alpha, s, beta, x, t_x, age)), rel=1e-5
    )


@pytest.mark.parametrize(
    "point", [(-0.6, 1.2, -0.5, 1.2), (3.0, -4.0, 2.0, 5.0), (-3.0, 4.0, 4.0, -5.0)]
)
def test_value_and_gradient(point: tuple[float, ...]) -> None:
    x, t_x, age, _ = simulate(0, 12, ParetoNbd(0.6, 20.0, 0.8, 60.0, REPORT), (100.0, 300.0))
    x, t_x, age = (
        np.append(column, extreme)
        for column, extreme in zip((x, t_x, age), (700, 90.0, 250.0), strict=True)
    )
    counts, t_x, age = np.arange(1.0, len(x) + 1), t_x / 100, age / 100
    objective = pareto_nbd._objective([x, t_x, age], counts, 0.01)
    rows = zip(x, t_x, age, counts, strict=True)
    total = sum(
        count * mpmath.log(exact_likelihood(*np.exp(point), n, last, end))
        for n, last, end, count in rows
    )
    value, gradient = objective(np.array(point, dtype=float))
    assert value == pytest.approx(
        float(-total / counts.sum()) + 0.01 * sum(p**2 for p in point), rel=1e-9
    )
    numeric = approx_fprime(np.array(point, dtype=float), lambda p: objective(p)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


@pytest.mark.integration
def test_parameters_of_a_simulation_come_back_within_their_errors() -> None:
    true = ParetoNbd(0.9, 20.0, 0.8, 60.0, REPORT)
    model = fit_pareto_nbd(*simulate(1, 20_000, true, (100.0, 300.0))[:3])
    assert model.report.converged
    for name in ("r", "alpha", "s", "beta"):
        error = model.report.standard_errors[name]
        assert (
            error is not None
            and abs(np.log(getattr(model, name) / getattr(true, name))) < 3 * error
        )


def test_customers_who_never_leave_put_a_parameter_on_its_bound() -> None:
    x, t_x, age, _ = simulate(2, 300, ParetoNbd(2.0, 20.0, 1.0, 1e9, REPORT), (100.0, 300.0))
    model = fit_pareto_nbd(x, t_x, age)
    assert not model.report.converged and "is on its bound" in model.report.message
    assert None in model.report.standard_errors.values()
    assert (model.r, model.alpha) == pytest.approx((2.0, 20.0), rel=0.3)
    assert probability_active(model, x, t_x, age).mean() > 0.99


def test_simulated_futures_are_the_expected_ones() -> None:
    model, horizon, size = ParetoNbd(0.9, 20.0, 0.8, 60.0, REPORT), 120.0, 400_000
    random = np.random.default_rng(3)
    rate, leaving = random.gamma(0.9, 1.0 / 20.0, size), random.gamma(0.8, 1.0 / 60.0, size)
    leaves = random.exponential(1.0, size) / leaving
    x = random.poisson(rate * np.minimum(leaves, 200.0)).astype(float)
    t_x = np.where(x > 0, random.beta(np.maximum(x, 1.0), 1.0) * np.minimum(leaves, 200.0), 0.0)
    ahead = random.poisson(rate * np.clip(leaves - 200.0, 0.0, horizon))
    summary = x, t_x, np.full(size, 200.0)
    for group in (x == 0, x == 1, x == 2, x >= 8):
        rows = tuple(column[group] for column in summary)
        noise = 5.0 / np.sqrt(group.sum())
        assert probability_active(model, *rows).mean() == pytest.approx(
            (leaves > 200.0)[group].mean(), abs=noise
        )
        assert expected_purchases(model, *rows, horizon).mean() == pytest.approx(
            ahead[group].mean(), rel=0.05
        )
        assert probability_no_purchase(model, *rows, horizon).mean() == pytest.approx(
            (ahead[group] == 0).mean(), abs=noise
        )
        alive = survival(model, *rows, np.array([horizon]))[:, 0]
        assert alive.mean() == pytest.approx((leaves > 200.0 + horizon)[group].mean(), abs=noise)


@pytest.mark.parametrize("s", [1e-4, 0.5, 0.999999, 1.0, 1.000001, 30.0, 2e4])
def test_expected_purchases_are_a_mean_over_rates_of_leaving(s: float) -> None:
    model = replace(CDNOW, s=s)
    summary = np.array([2]), np.array([30.43]), np.array([38.86])
    active = probability_active(model, *summary)[0]
    with mpmath.workdps(30):
        s_, beta, age = mpmath.mpf(s), mpmath.mpf(11.669), mpmath.mpf(38.86)
        stays = mpmath.quad(
            lambda t: ((beta + age) / (beta + age + t)) ** s_, mpmath.linspace(0, 39, 9)
        )
        expected = float((0.553 + 2) / (10.578 + age) * stays)
    assert expected_purchases(model, *summary, 39.0)[0] == pytest.approx(
        active * expected, rel=1e-9
    )


@pytest.mark.parametrize(("x", "t_x"), [(0, 0.0), (2, 30.43), (2, 38.86), (900, 38.0), (900, 5.0)])
@pytest.mark.parametrize(
    ("alpha", "beta"), [(10.578, 10.578), (10.578, 10.578 * (1 + 1e-13)), (1e-3, 1e3), (1e3, 1e-3)]
)
def test_probability_active_at_extremes(x: int, t_x: float, alpha: float, beta: float) -> None:
    model = replace(CDNOW, alpha=alpha, beta=beta)
    found = probability_active(model, np.array([x]), np.array([t_x]), np.array([38.86]))[0]
    with mpmath.workdps(40):
        r, alpha_, s, beta_, age = map(mpmath.mpf, (model.r, alpha, model.s, beta, 38.86))
        points = [
            mpmath.mpf(t_x) + (age - mpmath.mpf(t_x)) * mpmath.mpf(2) ** -k
            for k in range(24, -1, -1)
        ]
        left = mpmath.quad(
            lambda t: (alpha_ + t) ** -(r + x) * (beta_ + t) ** -(s + 1), [mpmath.mpf(t_x), *points]
        )
        stayed = (alpha_ + age) ** -(r + x) * (beta_ + age) ** -s
        expected = float(stayed / (stayed + s * left))
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-300)
