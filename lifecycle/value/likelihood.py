"""Maximum likelihood for models of customers: bounded minimisation over log parameters, told honestly how it ended."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize

# Logarithms of the parameters in scaled units stay inside these.
LOG_SMALLEST, LOG_LARGEST = -10.0, 10.0
MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-5  # of the mean log-likelihood, per unit of a logarithm of a parameter

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Optimum:
    """Where a minimisation ended; `gradient` is the largest slope that no bound stops."""

    log_parameters: np.ndarray
    value: float
    gradient: float
    converged: bool
    num_iterations: int
    message: str


def penalised(
    log_likelihood: float, gradient: np.ndarray, log_parameters: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """What is minimised, from a mean log-likelihood and its gradient by the parameters themselves."""
    value = -float(log_likelihood) + penalty * float(np.sum(log_parameters**2))
    return value, -gradient * np.exp(log_parameters) + 2.0 * penalty * log_parameters


def minimise(
    objective: Objective,
    starts: tuple[tuple[float, ...], ...],
    bounds: list[tuple[float, float]],
    names: tuple[str, ...],
) -> Optimum:
    """The end of the first start that reaches a flat point, else the best of all."""
    optima: list[Optimum] = []
    for start in starts:
        optima.append(_minimise_from(objective, start, bounds, names))
        if optima[-1].gradient <= GRADIENT_TOLERANCE:
            return optima[-1]
    return min(optima, key=lambda optimum: optimum.value)


def _minimise_from(
    objective: Objective, start: tuple[float, ...], bounds: list[tuple[float, float]], names: tuple[str, ...]
) -> Optimum:
    options = {"maxiter": MAX_ITERATIONS, "ftol": 1e-15, "gtol": 1e-8}
    result = minimize(objective, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    lower, upper = np.array(bounds).T
    slope = float(np.abs(np.clip(result.x - result.jac, lower, upper) - result.x).max())
    stuck = (result.x <= lower) | (result.x >= upper)
    problems = [f"{name} is on its bound" for name, is_stuck in zip(names, stuck, strict=True) if is_stuck]
    if slope > GRADIENT_TOLERANCE:
        problems.append(f"the gradient is still {slope:.1e} after {result.nit} iterations")
    message = "; ".join(problems) or "converged"
    return Optimum(result.x, float(result.fun), slope, not problems, int(result.nit), message)


def distinct_rows(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The distinct rows of columns of shape (n,), sorted, and how often each occurs."""
    names = [str(position) for position in range(len(columns))]
    rows = pl.DataFrame(dict(zip(names, columns, strict=True))).group_by(names).len("count").sort(names)
    return [rows[name].to_numpy() for name in names], rows["count"].to_numpy().astype(np.float64)


def check_rows(wrong: np.ndarray, rule: str, values: np.ndarray) -> None:
    """ValueError with the rule, the value and the row where the first of `wrong`, shape (n,), is true."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{rule}, but it is {values[row]} in row {row}")
