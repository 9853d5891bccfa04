"""Maximum likelihood for models of customers: bounded minimisation over log parameters, told honestly how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from scipy.optimize import minimize

# Logarithms of the parameters in scaled units stay inside these.
LOG_SMALLEST = -10.0
LOG_LARGEST = 10.0
MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-5  # of the mean log-likelihood, per unit of a logarithm of a parameter
# Customers on whom the starts are compared; the best end is polished on all of them.
SAMPLE_SIZE = 20_000
SAMPLE_SEED = 0
# Of a logarithm of a parameter, between the gradients that give the observed information.
STEP = 1e-4

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
# From distinct summaries and their counts.
MakeObjective = Callable[[list[np.ndarray], np.ndarray], Objective]


@dataclass(frozen=True)
class FitReport:
    """How a fit ended; where `converged` is false, `message` says why.

    `log_likelihood` is of all customers, without penalty. `standard_errors` are those of the
    logarithms of the parameters, from the observed information; None where a bound holds the
    parameter or the information is singular. `optima_apart` is the largest difference of a
    logarithm of a parameter between the ends of two starts, and `log_likelihood_apart` that of
    their mean log-likelihoods, on the sample where the starts were compared.
    """

    log_likelihood: float
    converged: bool
    message: str
    num_iterations: int
    num_starts: int
    optima_apart: float
    log_likelihood_apart: float
    standard_errors: dict[str, float | None]


@dataclass(frozen=True)
class Optimum:
    """Where the minimisation of a mean negative log-likelihood ended, and how it got there."""

    log_parameters: np.ndarray
    value: float
    converged: bool
    message: str
    num_iterations: int
    num_starts: int
    optima_apart: float
    values_apart: float
    standard_errors: dict[str, float | None]

    def report(self, log_likelihood: float) -> FitReport:
        """What users read of it; `log_likelihood` is in their units and without penalty."""
        return FitReport(
            log_likelihood=float(log_likelihood),
            converged=self.converged,
            message=self.message,
            num_iterations=self.num_iterations,
            num_starts=self.num_starts,
            optima_apart=self.optima_apart,
            log_likelihood_apart=self.values_apart,
            standard_errors=self.standard_errors,
        )


@dataclass(frozen=True)
class _End:
    """Where one start ended; `slope` is the largest slope that no bound stops."""

    log_parameters: np.ndarray
    value: float
    slope: float
    num_iterations: int


def penalised(
    log_likelihood: float, gradient: np.ndarray, log_parameters: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """What is minimised, from a mean log-likelihood and its gradient by the parameters themselves."""
    value = -float(log_likelihood) + penalty * float(np.sum(log_parameters**2))
    return value, -gradient * np.exp(log_parameters) + 2.0 * penalty * log_parameters


def minimise(
    make: MakeObjective,
    columns: list[np.ndarray],
    counts: np.ndarray,
    starts: tuple[tuple[float, ...], ...],
    bounds: dict[str, tuple[float, float]],
) -> Optimum:
    """The lowest end of all `starts`, found on at most SAMPLE_SIZE customers and polished on all.

    `columns` are distinct summaries, each (n,), of which there are `counts` customers. `bounds` of
    the logarithms are named after the parameters, in the order of the starts.
    """
    limits = list(bounds.values())
    sample = make(*_sample(columns, counts))
    ends = [_minimise_from(sample, np.array(start), limits) for start in starts]
    best = min(ends, key=lambda end: end.value)
    objective = make(columns, counts)
    final = _minimise_from(objective, best.log_parameters, limits)
    num_iterations = best.num_iterations + final.num_iterations
    lower, upper = np.array(limits).T
    stuck = (final.log_parameters <= lower) | (final.log_parameters >= upper)
    problems = [
        f"{name} is on its bound" for name, is_stuck in zip(bounds, stuck, strict=True) if is_stuck
    ]
    if final.slope > GRADIENT_TOLERANCE:
        problems.append(
            f"the gradient is still {final.slope:.1e} after {num_iterations} iterations"
        )
    pairs = list(combinations(ends, 2))
    return Optimum(
        log_parameters=final.log_parameters,
        value=final.value,
        converged=not problems,
        message="; ".join(problems) or "converged",
        num_iterations=num_iterations,
        num_starts=len(starts),
        optima_apart=max(
            (float(np.abs(a.log_parameters - b.log_parameters).max()) for a, b in pairs),
            default=0.0,
        ),
        values_apart=max((abs(a.value - b.value) for a, b in pairs), default=0.0),
        standard_errors=_standard_errors(
            objective, final.log_parameters, ~stuck, float(counts.sum()), tuple(bounds)
        ),
    )


def _sample(columns: list[np.ndarray], counts: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """SAMPLE_SIZE customers drawn with replacement; all of them where their summaries are fewer."""
    if len(counts) <= SAMPLE_SIZE:
        return columns, counts
    random = np.random.default_rng(SAMPLE_SEED)
    drawn = random.choice(len(counts), SAMPLE_SIZE, p=counts / counts.sum())
    rows, times = np.unique(drawn, return_counts=True)
    return [column[rows] for column in columns], times.astype(np.float64)


def _minimise_from(
    objective: Objective, start: np.ndarray, bounds: list[tuple[float, float]]
) -> _End:
    options = {"maxiter": MAX_ITERATIONS, "ftol": 1e-15, "gtol": 1e-8}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    lower, upper = np.array(bounds).T
    slope = float(np.abs(np.clip(result.x - result.jac, lower, upper) - result.x).max())
    return _End(result.x, float(result.fun), slope, int(result.nit))


def _standard_errors(
    objective: Objective,
    log_parameters: np.ndarray,
    free: np.ndarray,
    num_customers: float,
    names: tuple[str, ...],
) -> dict[str, float | None]:
    """By parameter; the information is the slope of the analytic gradient, over the parameters that no bound holds."""
    errors: dict[str, float | None] = dict.fromkeys(names)
    positions = np.flatnonzero(free)
    if len(positions) == 0:
        return errors
    steps = STEP * np.eye(len(log_parameters))[positions]
    slopes = [
        objective(log_parameters + step)[1] - objective(log_parameters - step)[1] for step in steps
    ]
    information = num_customers * np.array(slopes)[:, positions] / (2.0 * STEP)
    eigenvalues, vectors = np.linalg.eigh((information + information.T) / 2.0)
    if eigenvalues[0] <= 1e-9 * max(eigenvalues[-1], 0.0):
        return errors
    variances = (vectors**2 / eigenvalues).sum(axis=1)
    return errors | {
        names[position]: float(np.sqrt(v)) for position, v in zip(positions, variances, strict=True)
    }


def distinct_rows(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The distinct rows of columns of shape (n,), sorted, and how often each occurs."""
    names = [str(position) for position in range(len(columns))]
    rows = (
        pl.DataFrame(dict(zip(names, columns, strict=True)))
        .group_by(names)
        .len("count")
        .sort(names)
    )
    return [rows[name].to_numpy() for name in names], rows["count"].to_numpy().astype(np.float64)


def check_rows(wrong: np.ndarray, rule: str, values: np.ndarray) -> None:
    """ValueError with the rule, the value and the row where the first of `wrong`, shape (n,), is true."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{rule}, but it is {values[row]} in row {row}")


def check_summaries(frequency: np.ndarray, recency: np.ndarray, age: np.ndarray) -> None:
    """ValueError where a customer's summary is impossible, or where nobody ordered twice."""
    check_rows(
        ~(frequency >= 0) | (frequency % 1 != 0),
        "frequency must be a whole number of at least 0",
        frequency,
    )
    check_rows(~(age > 0) | ~np.isfinite(age), "age must be positive and finite", age)
    check_rows(~(recency >= 0) | (recency > age), "recency must lie between 0 and age", recency)
    check_rows(
        (frequency == 0) & (recency > 0), "recency must be 0 without a repeat order", recency
    )
    if not frequency.any():
        raise ValueError(
            f"none of {len(frequency)} customers ordered on a second day; a BTYD model needs repeat orders"
        )
