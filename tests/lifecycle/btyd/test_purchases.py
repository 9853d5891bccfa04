"""What all purchase models have in common: degenerate customers, equal ones, and models that agree where they must."""

import numpy as np
import pytest

from lifecycle.btyd import purchases as btyd
from lifecycle.btyd.beta_geometric import BetaGeometricNbd
from lifecycle.btyd.pareto_nbd import ParetoNbd
from lifecycle.btyd.purchases import (
    PurchaseModel,
    cumulative_purchases,
    expected_purchases,
    fit_purchases,
    probability_active,
    probability_no_purchase,
    purchase_pairs,
    relative_square,
    survival,
)
from tests.builders import REPORT, Columns

NAMES = ("bgnbd", "mbgnbd", "pareto_nbd")
MODELS = (
    BetaGeometricNbd(0.243, 4.414, 0.793, 2.426, 0, REPORT),
    BetaGeometricNbd(0.525, 6.183, 0.891, 1.614, 1, REPORT),
    ParetoNbd(0.553, 10.578, 0.606, 11.669, REPORT),
)
Summary = tuple[np.ndarray, np.ndarray, np.ndarray]


def customers(num_customers: int) -> Summary:
    random = np.random.default_rng(0)
    x, age = (
        random.integers(0, 5, num_customers).astype(float),
        random.integers(1, 60, num_customers).astype(float),
    )
    return x, np.where(x > 0, np.floor(random.uniform(0, age)), 0.0), age


@pytest.mark.parametrize(
    ("x", "t_x", "age", "rule"),
    [
        ([1, 2], [1, 9], [5, 8], "recency must lie between 0 and age, but it is 9.0 in row 1"),
        (
            [-1, 2],
            [1, 1],
            [5, 8],
            "frequency must be a whole number of at least 0, but it is -1.0 in row 0",
        ),
        ([0.5, 2], [1, 1], [5, 8], "whole number"),
        ([1, float("nan")], [1, 1], [5, 8], "whole number"),
        ([0, 2], [1, 1], [5, 8], "recency must be 0 without a repeat order"),
        ([0, 2], [0, 1], [0, 8], "age must be positive"),
        ([0, 0], [0, 0], [5, 8], "none of 2 customers ordered on a second day"),
        ([], [], [], "none of 0 customers"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_impossible_summaries_are_refused(
    name: str, x: list[float], t_x: list[float], age: list[float], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        fit_purchases(name, np.array(x), np.array(t_x), np.array(age))


def test_unknown_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match="no purchase model 'nbd'; models are bgnbd, mbgnbd, pareto_nbd"
    ):
        fit_purchases("nbd", *customers(9))


@pytest.mark.parametrize("name", NAMES)
def test_one_customer_gives_finite_answers_and_a_report_of_the_bounds(name: str) -> None:
    summary = np.array([3.0]), np.array([20.0]), np.array([21.0])
    model = fit_purchases(name, *summary)
    assert not model.report.converged and "is on its bound" in model.report.message
    assert 0.0 <= expected_purchases(model, *summary, 10.0)[0] < 10.0
    assert 0.0 <= probability_active(model, *summary)[0] <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_customers_who_are_all_alike_give_finite_answers(name: str) -> None:
    x, age = np.full(50, 4.0), np.full(50, 30.0)
    model = fit_purchases(name, x, np.full(50, 30.0), age)  # all ordered on their last day
    assert not model.report.converged
    assert expected_purchases(model, x, age, age, 30.0) == pytest.approx(np.full(50, 4.0), rel=0.35)


@pytest.mark.parametrize("name", NAMES)
def test_report_of_cdnow_tells_that_all_starts_agree(name: str, cdnow: Columns) -> None:
    report = fit_purchases(name, *cdnow[:3]).report
    assert report.converged and report.num_starts == 3 and report.num_iterations > 5
    assert report.optima_apart < 1e-3 and report.log_likelihood_apart < 1e-9
    assert all(
        error is not None and 0.03 < error < 0.6 for error in report.standard_errors.values()
    )


@pytest.mark.parametrize("name", NAMES)
def test_fit_depends_on_neither_order_nor_copies_of_customers(name: str, cdnow: Columns) -> None:
    columns = np.array(cdnow[:3])
    turned, copied = columns[:, ::-1], np.tile(columns, 20)
    one, two, many = (fit_purchases(name, *rows) for rows in (columns, turned, copied))
    assert one == two
    assert many.r == pytest.approx(one.r, rel=1e-5)
    errors = [
        many.report.standard_errors[key] / error
        for key, error in one.report.standard_errors.items()
    ]  # type: ignore[operator]
    assert errors == pytest.approx([20**-0.5] * 4, rel=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_equal_customers_share_a_computation_and_keep_their_numbers(
    model: PurchaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, horizons = customers(btyd.FEW + 500), np.array([1.0, 30.0, 300.0])
    functions = (cumulative_purchases, survival)
    together = [function(model, *summary, horizons) for function in functions]
    monkeypatch.setattr(btyd, "FEW", 10**9)
    for function, curve in zip(functions, together, strict=True):
        np.testing.assert_array_equal(function(model, *summary, horizons), curve)
        assert curve.shape == (len(summary[0]), 3) and np.isfinite(curve).all()


@pytest.mark.parametrize("model", MODELS)
def test_curves_start_right_and_go_one_way(model: PurchaseModel) -> None:
    summary, horizons = customers(300), np.array([0.0, 1.0, 13.0, 39.0, 1e6])
    curve, stays = (
        cumulative_purchases(model, *summary, horizons),
        survival(model, *summary, horizons),
    )
    np.testing.assert_allclose(curve[:, 0], 0.0, atol=1e-12)
    np.testing.assert_allclose(stays[:, 0], probability_active(model, *summary), rtol=1e-12)
    assert (np.diff(curve, axis=1) >= 0).all() and (np.diff(stays, axis=1) <= 0).all()
    np.testing.assert_allclose(curve[:, 3], expected_purchases(model, *summary, 39.0))
    silent = np.array([probability_no_purchase(model, *summary, horizon) for horizon in horizons])
    np.testing.assert_allclose(silent[0], 1.0, rtol=1e-9)
    assert (np.diff(silent, axis=0) <= 1e-12).all() and (silent >= 0).all()
    # at least one order is at most the expected number of them
    assert (1.0 - silent.T <= curve + 1e-9).all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("x", "t_x", "age"), [(0, 0.0, 0.0), (5000, 729.0, 730.0), (1, 1e-9, 1e5), (9, 30.0, 30.0)]
)
def test_extreme_customers_have_finite_answers(
    model: PurchaseModel, x: int, t_x: float, age: float
) -> None:
    summary = np.array([x]), np.array([t_x]), np.array([age])
    for horizon in (1e-6, 1.0, 1e6):
        purchases = expected_purchases(model, *summary, horizon)
        chances = (
            probability_active(model, *summary),
            probability_no_purchase(model, *summary, horizon),
        )
        assert np.isfinite(purchases).all() and purchases[0] >= 0
        assert all(0.0 <= chance[0] <= 1.0 for chance in chances)


def simulated_orders(
    model: PurchaseModel, x: float, age: float, horizon: float, count: int
) -> np.ndarray:
    """Orders within the horizon of customers of one summary who are active at the cutoff, shape (count,)."""
    random = np.random.default_rng(1)
    rate = random.gamma(model.r + x, 1 / (model.alpha + age), count)
    if isinstance(model, ParetoNbd):
        leaving = random.gamma(model.s, 1 / (model.beta + age), count)
        return random.poisson(rate * np.minimum(random.exponential(1 / leaving), horizon))
    leaving = random.beta(model.a, model.b + x + model.first_chances, count)
    orders = np.zeros(count)
    at = random.exponential(1 / rate)
    is_active = np.full(count, True)
    while (is_active := is_active & (at < horizon)).any():
        orders += is_active
        is_active &= random.random(count) > leaving
        at += random.exponential(1 / rate)
    return orders


@pytest.mark.integration
@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize(("x", "age"), [(0.0, 30.0), (4.0, 40.0)])
def test_pairs_of_orders_and_uncertainty_of_spend_are_those_of_simulated_customers(
    model: PurchaseModel, x: float, age: float
) -> None:
    horizon = 50.0
    orders = simulated_orders(model, x, age, horizon, 1_000_000)
    squares = orders * (orders - 1)
    noise = 4 * squares.std() / np.sqrt(len(squares))
    summary = np.array([x]), np.array([age])
    pairs = purchase_pairs(model, *summary, np.array([horizon]))
    assert pairs[0] == pytest.approx(squares.mean(), abs=noise)
    buys = orders[orders > 0]
    by_hand = np.mean(buys * (buys - 1) + 1.25 * buys) / buys.mean() ** 2
    found = relative_square(model, *summary, horizon, within=0.25)
    assert found[0] == pytest.approx(by_hand, rel=0.02)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_pairs_agree_with_a_finer_sum_over_time_also_far_ahead(model: PurchaseModel) -> None:
    x, age = np.array([0.0, 3.0, 100.0]), np.array([1.0, 50.0, 400.0])
    steps = np.concatenate([[0.0], np.geomspace(1e-4, 3000.0, 4000)])
    squared_rate = btyd._squared_rate(model)(x[:, None], age[:, None], steps[None, :])
    summed = np.trapezoid(2.0 * steps * squared_rate, steps, axis=1)
    found = purchase_pairs(model, x, age, np.full(3, 3000.0))
    np.testing.assert_allclose(found, summed, rtol=1e-3)
