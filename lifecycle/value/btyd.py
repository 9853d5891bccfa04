"""Buy-till-you-die models of order counts (BG/NBD) and order values (Gamma-Gamma), fitted by maximum likelihood.

Frequency is the number of repeat order days, recency the time from the first to the last order day, age the time from
the first order day to the cutoff. Recency, age and horizons share one unit, and any unit will do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit, gammaln, hyp2f1, psi

# Logarithms of the parameters in scaled units stay inside these. Where a is above 100 the dropout probabilities no
# longer differ measurably between customers, and hyp2f1 overflows beyond 200.
LOG_SMALLEST, LOG_LARGEST = -10.0, 10.0
LOG_LARGEST_A = float(np.log(100.0))
SMALLEST_Q = 1.01  # the mean order value of all customers, p v / (q - 1), is infinite at q = 1
BGNBD_STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.4, -2.0, -0.3, 0.9))
GAMMA_GAMMA_STARTS = ((0.0, 1.1, 0.7), (1.8, 1.3, -0.8))
MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-5  # of the mean log-likelihood, per unit of a logarithm of a parameter
SINGULAR = 1e-5

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class BgNbd:
    """Orders arrive at gamma(r, alpha) rates; after each, a customer leaves with a beta(a, b) probability.

    `alpha` is in the time unit of the fitted summaries; `log_likelihood` is without penalty. Where `converged` is
    false, `message` says why.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    converged: bool
    num_iterations: int
    message: str


@dataclass(frozen=True)
class GammaGamma:
    """Order values are gamma(p, nu) with nu ~ gamma(q, v); `v` is in the money unit of the fitted summaries."""

    p: float
    q: float
    v: float
    log_likelihood: float
    converged: bool
    num_iterations: int
    message: str


@dataclass(frozen=True)
class Optimum:
    """Where a minimisation ended; `gradient` is the largest slope that no bound stops."""

    log_parameters: np.ndarray
    value: float
    gradient: float
    converged: bool
    num_iterations: int
    message: str


def fit_bgnbd(frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, *, penalty: float = 0.0) -> BgNbd:
    """Maximum-likelihood BG/NBD (Fader, Hardie and Lee 2005, eq. 6) of customers' summaries, each of shape (n,).

    `penalty` times the sum of squared logarithms of the scaled parameters is added to the mean negative
    log-likelihood. Raises ValueError where a summary is impossible or nobody ordered twice.
    """
    frequency, recency, age = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, age))
    _check_counts(frequency, recency, age)
    scale = float(age.mean())
    (x, t_x, T), counts = _distinct(frequency, recency / scale, age / scale)
    bounds = [(LOG_SMALLEST, LOG_LARGEST)] * 2 + [(LOG_SMALLEST, LOG_LARGEST_A), (LOG_SMALLEST, LOG_LARGEST)]
    objective = _bgnbd_objective(x, t_x, T, counts, penalty)
    optimum = _minimise(objective, BGNBD_STARTS, bounds, ("r", "alpha", "a", "b"))
    r, alpha, a, b = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = -(optimum.value - penalties) * counts.sum() - np.log(scale) * frequency.sum()
    return BgNbd(
        r, alpha * scale, a, b, float(log_likelihood), optimum.converged, optimum.num_iterations, optimum.message
    )


def probability_active(model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Probability, shape (n,), that a customer has not left by the cutoff; 1 by assumption without a repeat order."""
    log_odds_left = (
        np.log(model.a)
        - np.log(model.b + np.maximum(frequency, 1) - 1)
        + (model.r + frequency) * np.log((model.alpha + age) / (model.alpha + recency))
    )
    return np.where(np.asarray(frequency) > 0, expit(-log_odds_left), 1.0)


def expected_purchases(
    model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizon: float | np.ndarray
) -> np.ndarray:
    """Expected order days, shape (n,), in the `horizon` after the cutoff (Fader, Hardie and Lee 2005, eq. 10)."""
    purchases = _purchases_if_active(model, np.asarray(frequency, dtype=np.float64), horizon / (model.alpha + age))
    expected: np.ndarray = purchases * probability_active(model, frequency, recency, age)
    return expected


def cumulative_purchases(
    model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizons: np.ndarray
) -> np.ndarray:
    """Expected order days, shape (n, k), up to each of the k ascending `horizons` after the cutoff."""
    horizon = np.asarray(horizons)[None, :]
    curve = expected_purchases(model, frequency[:, None], recency[:, None], age[:, None], horizon)
    return np.maximum.accumulate(curve, axis=1)


def probability_no_purchase(
    model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizon: float | np.ndarray
) -> np.ndarray:
    """Probability, shape (n,), of no order in the `horizon` after the cutoff: left already, or active and silent."""
    active = probability_active(model, frequency, recency, age)
    silent = np.exp(-(model.r + frequency) * np.log1p(horizon / (model.alpha + age)))
    unlikely: np.ndarray = active * silent + (1.0 - active)
    return unlikely


def fit_gamma_gamma(frequency: np.ndarray, mean_value: np.ndarray, *, penalty: float = 0.0) -> GammaGamma:
    """Maximum-likelihood Gamma-Gamma (Fader and Hardie 2013, eq. 1a) of mean repeat values, each of shape (n,).

    Customers without a repeat order, or with free ones alone, say nothing about a positive value and are left out; q is
    kept above 1, where the mean is finite. Raises ValueError where nobody is left or a mean value is negative.
    """
    frequency, mean_value = (np.asarray(column, dtype=np.float64) for column in (frequency, mean_value))
    _check_values(frequency, mean_value)
    repeat = (frequency > 0) & (mean_value > 0)
    scale = float(mean_value[repeat].mean())
    (x, m), counts = _distinct(frequency[repeat], mean_value[repeat] / scale)
    bounds = [(LOG_SMALLEST, LOG_LARGEST), (float(np.log(SMALLEST_Q)), LOG_LARGEST), (LOG_SMALLEST, LOG_LARGEST)]
    objective = _gamma_gamma_objective(x, m, counts, penalty)
    optimum = _minimise(objective, GAMMA_GAMMA_STARTS, bounds, ("p", "q", "v"))
    p, q, v = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = float(-(optimum.value - penalties + np.log(scale)) * counts.sum())
    return GammaGamma(p, q, v * scale, log_likelihood, optimum.converged, optimum.num_iterations, optimum.message)


def expected_order_value(model: GammaGamma, frequency: np.ndarray, mean_value: np.ndarray) -> np.ndarray:
    """Expected value of an order, shape (n,): p (v + x m) / (p x + q - 1); the mean customer's where x is 0."""
    value: np.ndarray = model.p * (model.v + frequency * mean_value) / (model.p * frequency + model.q - 1.0)
    return value


def _purchases_if_active(model: BgNbd, frequency: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """Expected orders of a customer active at the cutoff; `elapsed` is horizon / (alpha + age).

    The closed form is 0 / 0 at a = 1 and, without a repeat order, at a + b = 1. The function is smooth there, so that
    within SINGULAR of either the line between its values on both sides serves.
    """
    pole = min((1.0, 1.0 - model.b), key=lambda value: abs(model.a - value))
    share = (model.a - pole + SINGULAR) / (2.0 * SINGULAR)
    if not 0.0 < share < 1.0:
        return _closed_form(model, model.a, frequency, elapsed)
    below = _closed_form(model, pole - SINGULAR, frequency, elapsed)
    above = _closed_form(model, pole + SINGULAR, frequency, elapsed)
    purchases: np.ndarray = (1.0 - share) * below + share * above
    return purchases


def _closed_form(model: BgNbd, a: float, frequency: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """The numerator of eq. 10 after Euler's transformation, which keeps the powers of large frequencies out of it."""
    z = elapsed / (1.0 + elapsed)
    total = a + model.b + frequency - 1.0
    kept = (1.0 - z) ** (a - 1.0) * hyp2f1(a - 1.0, a + model.b - 1.0 - model.r, total, z)
    purchases: np.ndarray = total / (a - 1.0) * (1.0 - kept)
    return purchases


def _bgnbd_objective(x: np.ndarray, t_x: np.ndarray, age: np.ndarray, counts: np.ndarray, penalty: float) -> Objective:
    """Mean negative log-likelihood and its gradient by log r, log alpha, log a, log b.

    Gamma functions are taken once per frequency, logarithms once per distinct summary. Sums over summaries avoid BLAS,
    whose threads cost more than they add on busy machines.
    """
    num_customers = counts.sum()
    frequencies, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, weights=counts)
    repeat = x > 0
    previous = np.maximum(frequencies, 1.0) - 1.0

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = np.exp(log_parameters)
        log_age = np.log(alpha + age)
        log_ratio = log_age - np.log(alpha + t_x)
        log_odds_left = (log_parameters[2] - np.log(b + previous))[index] + (r + x) * log_ratio
        odds = np.exp(-np.abs(log_odds_left))
        left = np.where(repeat, np.where(log_odds_left > 0, 1.0, odds) / (1.0 + odds), 0.0)
        log_either = np.where(repeat, np.maximum(log_odds_left, 0.0) + np.log1p(odds), 0.0)
        mean_inverse = (1.0 - left) / (alpha + age) + left / (alpha + t_x)
        both = psi(a + b) - psi(a + b + frequencies)
        by_frequency = (
            gammaln(r + frequencies) - gammaln(r) + r * log_parameters[1]
            + gammaln(a + b) + gammaln(b + frequencies) - gammaln(b) - gammaln(a + b + frequencies)
        )  # fmt: skip
        counts_left = counts * left
        left_by_frequency = np.bincount(index, weights=counts_left)
        gradient = np.array(
            [
                customers @ (psi(r + frequencies) - psi(r) + log_parameters[1])
                + (counts_left * log_ratio - counts * log_age).sum(),
                num_customers * r / alpha - (counts * (r + x) * mean_inverse).sum(),
                customers @ both + left_by_frequency.sum() / a,
                customers @ (both + psi(b + frequencies) - psi(b)) - left_by_frequency @ (1.0 / (b + previous)),
            ]
        )  # fmt: skip
        value = customers @ by_frequency + (counts * (log_either - (r + x) * log_age)).sum()
        return _penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective


def _gamma_gamma_objective(x: np.ndarray, m: np.ndarray, counts: np.ndarray, penalty: float) -> Objective:
    """Mean negative log-likelihood of mean values m over x orders and its gradient by log p, log q, log v."""
    num_customers = counts.sum()
    frequencies, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, weights=counts)
    total = x * m
    log_totals = np.bincount(index, weights=counts * np.log(total))
    sum_log_m = (counts * np.log(m)).sum()

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, v = np.exp(log_parameters)
        shape = p * frequencies + q
        log_sums = np.bincount(index, weights=counts * np.log(total + v))
        by_frequency = gammaln(shape) - gammaln(p * frequencies) - gammaln(q) + q * log_parameters[2]
        value = customers @ by_frequency + p * (frequencies @ log_totals) - sum_log_m - shape @ log_sums
        gradient = np.array(
            [
                frequencies @ (customers * (psi(shape) - psi(p * frequencies)) + log_totals - log_sums),
                customers @ (psi(shape) - psi(q) + log_parameters[2]) - log_sums.sum(),
                num_customers * q / v - (counts * shape[index] / (total + v)).sum(),
            ]
        )
        return _penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective


def _penalised(
    log_likelihood: float, gradient: np.ndarray, log_parameters: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """What is minimised, from a mean log-likelihood and its gradient by the parameters themselves."""
    value = -float(log_likelihood) + penalty * float(np.sum(log_parameters**2))
    return value, -gradient * np.exp(log_parameters) + 2.0 * penalty * log_parameters


def _minimise(
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


def _distinct(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The distinct rows of columns of shape (n,), sorted, and how often each occurs."""
    names = [str(position) for position in range(len(columns))]
    rows = pl.DataFrame(dict(zip(names, columns, strict=True))).group_by(names).len("count").sort(names)
    return [rows[name].to_numpy() for name in names], rows["count"].to_numpy().astype(np.float64)


def _check_counts(frequency: np.ndarray, recency: np.ndarray, age: np.ndarray) -> None:
    _check_rows(~(frequency >= 0) | (frequency % 1 != 0), "frequency must be a whole number of at least 0", frequency)
    _check_rows(~(age > 0) | ~np.isfinite(age), "age must be positive and finite", age)
    _check_rows(~(recency >= 0) | (recency > age), "recency must lie between 0 and age", recency)
    _check_rows((frequency == 0) & (recency > 0), "recency must be 0 without a repeat order", recency)
    if not frequency.any():
        raise ValueError(f"none of {len(frequency)} customers ordered on a second day; BG/NBD needs repeat orders")


def _check_values(frequency: np.ndarray, mean_value: np.ndarray) -> None:
    _check_rows(~(mean_value >= 0) | ~np.isfinite(mean_value), "mean_value must be finite and at least 0", mean_value)
    if not ((frequency > 0) & (mean_value > 0)).any():
        raise ValueError(f"none of {len(frequency)} customers paid on a second day; Gamma-Gamma needs repeat orders")


def _check_rows(wrong: np.ndarray, rule: str, values: np.ndarray) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{rule}, but it is {values[row]} in row {row}")
