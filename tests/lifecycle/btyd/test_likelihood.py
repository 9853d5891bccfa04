"""The minimisation that all fitters share: samples, starts, bounds and errors, on likelihoods known in closed form."""

import numpy as np
import pytest

from lifecycle.btyd import likelihood
from lifecycle.btyd.likelihood import Objective, distinct_rows, minimise, penalised

FREE = {"mean": (-10.0, 10.0), "rate": (-10.0, 10.0)}
STARTS = ((0.0, 0.0), (1.0, -1.0))


def exponential(columns: list[np.ndarray], counts: np.ndarray) -> Objective:
    """Mean waiting times (first column) of exponential(mean) and, apart from them, exponential rates (second)."""
    size = counts.sum()
    waits, others = (float((counts * column).sum()) for column in columns)

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        mean, rate = np.exp(log_parameters)
        value = -size * np.log(mean) - waits / mean + size * np.log(rate) - rate * others
        gradient = np.array([-size / mean + waits / mean**2, size / rate - others])
        return penalised(value / size, gradient / size, log_parameters, 0.0)

    return objective


def data(size: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.exponential(3.0, size), random.exponential(0.5, size)]


@pytest.mark.parametrize("size", [50, 30_000])
def test_optimum_and_errors_have_their_closed_forms(size: int) -> None:
    columns = data(size)
    optimum = minimise(exponential, columns, np.ones(size), STARTS, FREE)
    assert np.exp(optimum.log_parameters) == pytest.approx(
        [columns[0].mean(), 1.0 / columns[1].mean()], rel=1e-6
    )
    assert optimum.converged and optimum.message == "converged"
    assert optimum.standard_errors == pytest.approx(
        {"mean": size**-0.5, "rate": size**-0.5}, rel=1e-5
    )
    assert optimum.num_starts == 2 and optimum.optima_apart < 1e-5 and optimum.values_apart < 1e-10


def test_counts_stand_for_equal_customers() -> None:
    columns, counts = data(40), np.arange(1.0, 41.0)
    repeated = [np.repeat(column, counts.astype(int)) for column in columns]
    one = minimise(exponential, columns, counts, STARTS, FREE)
    two = minimise(exponential, repeated, np.ones(len(repeated[0])), STARTS, FREE)
    np.testing.assert_allclose(one.log_parameters, two.log_parameters, atol=1e-6)
    assert one.standard_errors == pytest.approx(two.standard_errors, rel=1e-6)


def test_parameter_on_its_bound_is_named_and_has_no_error() -> None:
    optimum = minimise(exponential, data(50), np.ones(50), STARTS, FREE | {"mean": (-10.0, 0.5)})
    assert not optimum.converged and optimum.message == "mean is on its bound"
    assert optimum.log_parameters[0] == 0.5
    assert optimum.standard_errors["mean"] is None
    assert optimum.standard_errors["rate"] == pytest.approx(50**-0.5, rel=1e-5)


def test_best_of_several_optima_wins_and_their_distance_is_told() -> None:
    def two_valleys(columns: list[np.ndarray], counts: np.ndarray) -> Objective:
        def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
            (u,) = log_parameters  # minima near -1 and 1, the first lower by about 0.2
            return float((u**2 - 1) ** 2 + 0.1 * u), np.array([4 * u * (u**2 - 1) + 0.1])

        return objective

    optimum = minimise(
        two_valleys, [np.ones(3)], np.ones(3), ((1.5,), (-1.5,)), {"u": (-10.0, 10.0)}
    )
    assert optimum.log_parameters[0] == pytest.approx(-1.0123, abs=1e-3)
    assert optimum.optima_apart == pytest.approx(2.0, abs=0.01)
    assert optimum.values_apart == pytest.approx(0.2, abs=0.01)


def test_flat_direction_has_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(columns: list[np.ndarray], counts: np.ndarray) -> Objective:
        return lambda point: (float(point[0] ** 2), np.array([2.0 * point[0], 0.0]))

    optimum = minimise(flat, [np.ones(3)], np.ones(3), STARTS, FREE)
    assert optimum.standard_errors == {"mean": None, "rate": None}
    monkeypatch.setattr(likelihood, "MAX_ITERATIONS", 1)
    stopped = minimise(exponential, data(50), np.ones(50), ((5.0, 5.0),), FREE)
    assert not stopped.converged and "the gradient is still" in stopped.message


def test_distinct_rows_are_sorted_and_counted() -> None:
    (x, y), counts = distinct_rows(np.array([2.0, 1.0, 2.0, 2.0]), np.array([5.0, 7.0, 5.0, 4.0]))
    assert (x.tolist(), y.tolist(), counts.tolist()) == (
        [1.0, 2.0, 2.0],
        [7.0, 4.0, 5.0],
        [1.0, 1.0, 2.0],
    )
