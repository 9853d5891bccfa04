"""Blends of models: the shares are those that predict best, and never leave the simplex."""

import numpy as np
import pytest
from sklearn.metrics import mean_tweedie_deviance

from lifecycle.spend.blend import POWER, PRIOR_CUSTOMERS, blend, fit_shares, is_clearly_better


def shop(num_customers: int = 4000) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """A model, two others with errors of their own, and what was spent."""
    random = np.random.default_rng(0)
    mean = random.gamma(1.0, 50.0, num_customers)
    actual = (
        mean * random.gamma(2.0, 0.5, num_customers) * (random.random(num_customers) < 0.8) / 0.8
    )
    noisy = [mean * random.lognormal(-0.02, 0.2, num_customers) for _ in range(3)]
    return noisy[0], {"a": noisy[1], "b": noisy[2]}, actual


def test_shares_have_the_least_deviance_of_a_grid() -> None:
    base, others, actual = shop()
    shares = fit_shares(base, others, actual)
    trust = len(actual) / (len(actual) + PRIOR_CUSTOMERS)
    grid = np.linspace(0, 1, 21)
    best = min(
        ((a, b) for a in grid for b in grid if a + b <= 1),
        key=lambda pair: mean_tweedie_deviance(
            actual, blend(base, others, {"a": pair[0], "b": pair[1]}), power=POWER
        ),
    )
    np.testing.assert_allclose([shares["a"] / trust, shares["b"] / trust], best, atol=0.05)
    assert shares["a"] > 0.1 and shares["b"] > 0.1


def test_perfect_model_gets_all_but_what_few_customers_cannot_tell() -> None:
    base, _, actual = shop(400)
    shares = fit_shares(base, {"oracle": actual}, actual)
    assert shares["oracle"] == pytest.approx(400 / (400 + PRIOR_CUSTOMERS), abs=0.01)


def test_useless_model_gets_nothing() -> None:
    base, _, actual = shop()
    shuffled = np.random.default_rng(1).permutation(base)
    assert fit_shares(base, {"noise": shuffled}, actual) == {"noise": 0.0}


@pytest.mark.parametrize("others", [{}, {"a": np.ones(5)}])
def test_without_models_or_spend_there_is_nothing_to_learn(others: dict[str, np.ndarray]) -> None:
    shares = fit_shares(np.ones(5), others, np.zeros(5))
    assert shares == dict.fromkeys(others, 0.0)
    np.testing.assert_array_equal(blend(np.ones(5), others, shares), np.ones(5))


def test_predictions_of_zero_for_customers_who_spent_are_survived() -> None:
    base, others, actual = shop(500)
    shares = fit_shares(np.zeros(500), {"a": others["a"], "zero": np.zeros(500)}, actual)
    assert (
        shares["a"] == pytest.approx(500 / (500 + PRIOR_CUSTOMERS), abs=0.05)
        and shares["zero"] < 0.1
    )


def test_one_customer_makes_nothing_clear() -> None:
    assert not is_clearly_better(np.array([99.5]), np.array([99.0]), np.array([100.0]))


@pytest.mark.parametrize(("times", "is_better"), [(1.0, True), (3.0, True), (5.0, False)])
def test_errors_twice_as_large_are_four_times_the_squared_errors(
    times: float, is_better: bool
) -> None:
    error = np.random.default_rng(0).normal(size=1000)
    assert is_clearly_better(error, 2 * error, np.zeros(1000), times) == is_better
