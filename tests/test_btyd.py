"""BG/NBD against the published CDNOW results, the paper's formulas in mpmath, and simulation."""

from dataclasses import asdict, replace
from datetime import UTC, datetime

import mpmath
import numpy as np
import polars as pl
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import beta, gamma

from lifecycle.value import btyd
from lifecycle.value.btyd import (
    BgNbd,
    cumulative_purchases,
    expected_purchases,
    fit_bgnbd,
    probability_active,
    probability_no_purchase,
    survival,
)
from lifecycle.value.summary import summarise
from tests.conftest import Columns

CDNOW = BgNbd(0.243, 4.414, 0.793, 2.426, -9582.4, True, 20, "converged")


def simulate(
    seed: int, num_customers: int, r: float, alpha: float, a: float, b: float, *, modified: bool = False
) -> tuple[np.ndarray, ...]:
    """Summaries of customers who behave as BG/NBD, or MBG/NBD, says."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(num_customers):
        rate, leaving, age = random.gamma(r, 1.0 / alpha), random.beta(a, b), random.uniform(100, 300)
        now, count, last = random.exponential(1.0 / rate), 0, 0.0
        if modified and random.random() < leaving:
            now = np.inf
        while now <= age:
            count, last = count + 1, now
            if random.random() < leaving:
                break
            now += random.exponential(1.0 / rate)
        rows.append((count, last, age))
    return tuple(np.array(rows).T)


def exact_purchases(model: BgNbd, x: int, t_x: float, age: float, horizon: float) -> float:
    """Eq. 10 of the paper as printed, with 100 digits."""
    with mpmath.workdps(100):
        r, alpha, a, b, t_x, age, t = map(mpmath.mpf, (model.r, model.alpha, model.a, model.b, t_x, age, horizon))
        z = t / (alpha + age + t)
        kept = ((alpha + age) / (alpha + age + t)) ** (r + x) * mpmath.hyp2f1(r + x, b + x, a + b + x - 1, z)
        left = a / (b + x - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x) if x else 0
        return float((a + b + x - 1) / (a - 1) * (1 - kept) / (1 + left))


def test_cdnow_sample_gives_published_parameters(cdnow: Columns) -> None:
    model = fit_bgnbd(*cdnow[:3])
    assert model.converged and model.message == "converged"
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=6e-4)
    assert model.log_likelihood == pytest.approx(-9582.4, abs=0.05)


def test_unit_of_time_changes_alpha_and_density_alone(cdnow: Columns) -> None:
    x, t_x, age, _ = cdnow
    weeks, days = fit_bgnbd(x, t_x, age), fit_bgnbd(x, 7 * t_x, 7 * age)
    assert (days.r, days.alpha / 7, days.a, days.b) == pytest.approx((weeks.r, weeks.alpha, weeks.a, weeks.b), rel=1e-6)
    assert days.log_likelihood == pytest.approx(weeks.log_likelihood - x.sum() * np.log(7), rel=1e-9)


@pytest.mark.parametrize("point", [(-1.4, 0.3, -0.2, 0.9), (3.0, -2.0, 4.0, -3.0), (0.0, 5.0, -6.0, 6.0)])
def test_bgnbd_value_and_gradient(point: tuple[float, ...]) -> None:
    x, t_x, age = simulate(0, 60, 0.6, 20.0, 0.8, 2.5)
    counts = np.arange(1.0, len(x) + 1)
    objective = btyd._objective(x, t_x / 100, age / 100, counts, 0.01)
    r, alpha, a, b = (mpmath.mpf(value) for value in np.exp(point))
    total = mpmath.mpf(0)
    for n, last, end, count in zip(x, t_x / 100, age / 100, counts, strict=True):
        kept = mpmath.beta(a, b + n) / mpmath.beta(a, b) / (alpha + end) ** (r + n)
        left = mpmath.beta(a + 1, b + n - 1) / mpmath.beta(a, b) / (alpha + last) ** (r + n) if n else 0
        total += count * mpmath.log(mpmath.gamma(r + n) * alpha**r / mpmath.gamma(r) * (kept + left))
    value, gradient = objective(np.array(point))
    assert value == pytest.approx(float(-total / counts.sum()) + 0.01 * sum(p**2 for p in point), rel=1e-10)
    numeric = approx_fprime(np.array(point), lambda p: objective(p)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


def test_parameters_of_a_simulation_come_back() -> None:
    model = fit_bgnbd(*simulate(1, 4000, 1.0, 20.0, 1.0, 4.0))
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((1.0, 20.0, 1.0, 4.0), rel=0.2)


def test_mbgnbd_value_gradient_and_chances_by_its_own_formulas() -> None:
    # Batislam, Denizel and Filiztekin 2007: of x repeat orders and the first, all or all but the last were survived.
    x, t_x, age = simulate(5, 60, 0.6, 20.0, 0.8, 2.5, modified=True)
    point, counts = (-0.4, -1.0, -0.2, 0.9), np.arange(1.0, len(x) + 1)
    objective = btyd._objective(x, t_x / 100, age / 100, counts, 0.0, True)
    r, alpha, a, b = (mpmath.mpf(value) for value in np.exp(point))
    total, active = mpmath.mpf(0), []
    for n, last, end, count in zip(x, t_x / 100, age / 100, counts, strict=True):
        kept = mpmath.beta(a, b + n + 1) / mpmath.beta(a, b) / (alpha + end) ** (r + n)
        left = mpmath.beta(a + 1, b + n) / mpmath.beta(a, b) / (alpha + last) ** (r + n)
        total += count * mpmath.log(mpmath.gamma(r + n) * alpha**r / mpmath.gamma(r) * (kept + left))
        active.append(float(kept / (kept + left)))
    value, gradient = objective(np.array(point))
    assert value == pytest.approx(float(-total / counts.sum()), rel=1e-10)
    numeric = approx_fprime(np.array(point), lambda p: objective(p)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)
    model = BgNbd(*(float(value) for value in (r, alpha, a, b)), 0.0, True, 1, "", modified=True)
    np.testing.assert_allclose(probability_active(model, x, t_x / 100, age / 100), active, rtol=1e-9)


def test_mbgnbd_of_a_simulation_comes_back_and_foretells_what_follows() -> None:
    x, t_x, age = simulate(6, 6000, 1.0, 20.0, 1.0, 4.0, modified=True)
    model = fit_bgnbd(x, t_x, age, modified=True)
    assert (model.r, model.alpha) == pytest.approx((1.0, 20.0), rel=0.2)
    assert model.a / (model.a + model.b) == pytest.approx(0.2, rel=0.2)  # a and b alone are hardly told apart
    expected = expected_purchases(model, np.zeros(1), np.zeros(1), np.full(1, 1e-9), 100.0)[0]
    random = np.random.default_rng(8)
    counts = []
    for _ in range(20_000):  # a new customer's repeat orders in a hundred days
        rate, leaving, now, count = random.gamma(1.0, 1 / 20.0), random.beta(1.0, 4.0), 0.0, 0
        while random.random() >= leaving and (now := now + random.exponential(1 / rate)) <= 100.0:
            count += 1
        counts.append(count)
    assert expected == pytest.approx(np.mean(counts), rel=0.06)


def test_fit_without_dropout_reports_the_bound() -> None:
    model = fit_bgnbd(*simulate(2, 200, 2.0, 20.0, 1e-6, 1.0))
    assert not model.converged and "a is on its bound" in model.message
    assert (model.r, model.alpha) == pytest.approx((2.0, 20.0), rel=0.3)


def test_penalty_keeps_one_customer_from_the_bounds() -> None:
    column = np.array([58]), np.array([168.0]), np.array([170.0])
    assert not fit_bgnbd(*column).converged
    assert fit_bgnbd(*column, penalty=0.01).converged


def test_log_likelihood_leaves_the_penalty_out(cdnow: Columns) -> None:
    assert fit_bgnbd(*cdnow[:3], penalty=1e-6).log_likelihood == pytest.approx(-9582.43, abs=0.01)


@pytest.mark.parametrize(
    ("x", "t_x", "age", "rule"),
    [
        ([1, 2], [1, 9], [5, 8], "recency must lie between 0 and age, but it is 9.0 in row 1"),
        ([-1, 2], [1, 1], [5, 8], "frequency must be a whole number of at least 0, but it is -1.0 in row 0"),
        ([0.5, 2], [1, 1], [5, 8], "whole number"),
        ([1, float("nan")], [1, 1], [5, 8], "whole number"),
        ([0, 2], [1, 1], [5, 8], "recency must be 0 without a repeat order"),
        ([0, 2], [0, 1], [0, 8], "age must be positive"),
        ([0, 0], [0, 0], [5, 8], "none of 2 customers ordered on a second day"),
        ([], [], [], "none of 0 customers"),
    ],
)
def test_impossible_summaries_are_refused(x: list[float], t_x: list[float], age: list[float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        fit_bgnbd(np.array(x), np.array(t_x), np.array(age))


@pytest.mark.parametrize("a", [5e-5, 0.3, 0.793, 0.999999, 1.0, 1.000003, 3.0, 100.0])
@pytest.mark.parametrize("x", [0, 1, 30, 800])
@pytest.mark.parametrize("horizon", [0.01, 39.0, 1e4])
def test_expected_purchases_at_extremes(a: float, x: int, horizon: float) -> None:
    model = replace(CDNOW, a=a)
    t_x = 35.0 if x else 0.0
    found = expected_purchases(model, np.array([x]), np.array([t_x]), np.array([38.86]), horizon)
    nearby = replace(model, a=a if abs(a - 1.0) > 1e-9 else 1.0 + 1e-12)
    assert found[0] == pytest.approx(exact_purchases(nearby, x, t_x, 38.86, horizon), rel=1e-6)


def test_expected_purchases_where_a_and_b_sum_to_one() -> None:
    model = replace(CDNOW, a=0.25, b=0.75)
    found = expected_purchases(model, np.array([0, 2]), np.array([0.0, 9.0]), np.array([38.0, 38.0]), 39.0)
    nearby = replace(model, b=0.75 + 1e-12)
    assert found[0] == pytest.approx(exact_purchases(nearby, 0, 0.0, 38.0, 39.0), rel=1e-6)
    assert found[1] == pytest.approx(exact_purchases(nearby, 2, 9.0, 38.0, 39.0), rel=1e-6)


def test_published_expectation_of_one_customer() -> None:
    # Fader, Hardie and Lee 2005: x = 2, t_x = 30.43, T = 38.86 is expected to order 1.226 times in 39 weeks.
    found = expected_purchases(CDNOW, np.array([2]), np.array([30.43]), np.array([38.86]), 39.0)
    assert found[0] == pytest.approx(1.226, abs=1e-3)


def test_probabilities_by_hand() -> None:
    x, t_x, age = np.array([0, 2, 700]), np.array([0.0, 30.43, 38.0]), np.array([38.86, 38.86, 38.86])
    active = probability_active(CDNOW, x, t_x, age)
    left = 0.793 / (2.426 + 1) * ((4.414 + 38.86) / (4.414 + 30.43)) ** 2.243
    assert active[:2] == pytest.approx([1.0, 1.0 / (1.0 + left)])
    assert 0.0 <= active[2] < 0.01  # seven hundred orders and then silence for 0.86 weeks of 39
    silent = ((4.414 + 38.86) / (4.414 + 38.86 + 10.0)) ** 2.243
    assert probability_no_purchase(CDNOW, x, t_x, age, 10.0)[1] == pytest.approx(active[1] * silent + 1.0 - active[1])
    assert probability_no_purchase(CDNOW, x, t_x, age, 0.0) == pytest.approx([1.0, 1.0, 1.0])


def test_curve_starts_at_nothing_and_never_falls() -> None:
    x, t_x, age = np.array([0, 3, 500]), np.array([0.0, 20.0, 38.8]), np.array([38.86, 38.86, 38.86])
    curve = cumulative_purchases(CDNOW, x, t_x, age, np.array([0.0, 1.0, 13.0, 39.0, 1e6]))
    assert curve.shape == (3, 5) and np.isfinite(curve).all()
    np.testing.assert_allclose(curve[:, 0], 0.0, atol=1e-12)
    assert (np.diff(curve, axis=1) >= 0).all()
    np.testing.assert_allclose(curve[:, 3], expected_purchases(CDNOW, x, t_x, age, 39.0))


@pytest.mark.parametrize("a", [0.01, 0.793, 5.0, 100.0])
@pytest.mark.parametrize("x", [0, 2, 400])
def test_survival_is_the_mean_over_rates_and_dropouts(a: float, x: int) -> None:
    model, horizons = replace(CDNOW, a=a), np.array([0.0, 2.0, 39.0, 4000.0])
    t_x = 38.0 if x else 0.0
    found = survival(model, np.array([x]), np.array([t_x]), np.array([38.86]), horizons)
    active = probability_active(model, np.array([x]), np.array([t_x]), np.array([38.86]))
    dropout = beta.ppf((np.arange(100_000) + 0.5) / 100_000, a, model.b + x)
    rate = gamma(model.r + x, scale=1.0 / (model.alpha + 38.86))
    rates = rate.ppf((np.arange(2000) + 0.5) / 2000)
    for number, horizon in enumerate(horizons):
        # the mean of exp(-rate p t) over rates is the gamma's Laplace transform; a coarse mean checks that step too
        stays = np.mean((1.0 + dropout * horizon / (model.alpha + 38.86)) ** -(model.r + x))
        assert found[0, number] == pytest.approx(active[0] * stays, rel=1e-3, abs=1e-9)
        coarse = np.mean(np.exp(-np.outer(rates, dropout[::100]) * horizon))
        assert coarse == pytest.approx(stays, abs=2e-3)
    assert (np.diff(found[0]) <= 0).all()


def test_models_survive_json_as_dicts() -> None:
    assert BgNbd(**asdict(CDNOW)) == CDNOW


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def orders(rows: list[tuple[str, datetime, datetime, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["customer_id", "cutoff", "occurred_at", "amount"], orient="row")


def test_summary_counts_days_per_customer_and_cutoff() -> None:
    rows = [("b", at(20), at(1, 9), 5.0), ("b", at(20), at(1, 23), 7.0), ("b", at(20), at(4), 10.0)]
    rows += [("b", at(20), at(4, 1), 2.0), ("b", at(20), at(11, 5), 20.0)]
    rows += [("b", at(5), at(1, 9), 5.0), ("b", at(5), at(4), 10.0), ("a", at(20), at(19, 23), 3.0)]
    assert summarise(orders(rows)).rows() == [
        ("a", at(20), 0, 0, 1, 0.0),
        ("b", at(5), 1, 3, 4, 10.0),
        ("b", at(20), 2, 10, 19, 16.0),
    ]


def test_summary_does_not_depend_on_row_order() -> None:
    random = np.random.default_rng(0)
    rows = [(f"c{random.integers(9)}", at(28), at(int(random.integers(1, 28))), 1.5) for _ in range(200)]
    frame = orders(rows)
    assert summarise(frame).equals(summarise(frame.sample(fraction=1.0, shuffle=True, seed=1)))


def test_order_at_the_cutoff_is_refused() -> None:
    with pytest.raises(ValueError, match="is not before its cutoff"):
        summarise(orders([("a", at(5), at(5), 1.0)]))
