"""Gamma-Gamma: what customers spend per order, fitted by maximum likelihood (Fader and Hardie 2013)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, psi

from lifecycle.btyd.likelihood import (
    LOG_LARGEST,
    LOG_SMALLEST,
    FitReport,
    Objective,
    check_rows,
    distinct_rows,
    minimise,
    penalised,
)

SMALLEST_Q = 1.01  # the mean order value of all customers, p v / (q - 1), is infinite at q = 1
STARTS = ((0.0, 1.1, 0.7), (1.8, 1.3, -0.8))


@dataclass(frozen=True)
class GammaGamma:
    """Order values are gamma(p, nu) with nu ~ gamma(q, v); `v` is in the money unit of the fitted summaries."""

    p: float
    q: float
    v: float
    report: FitReport


def fit_gamma_gamma(
    frequency: np.ndarray, mean_value: np.ndarray, *, penalty: float = 0.0
) -> GammaGamma:
    """Maximum-likelihood Gamma-Gamma (Fader and Hardie 2013, eq. 1a) of mean repeat values, each of shape (n,).

    Customers without a repeat order, or with free ones alone, say nothing about a positive value
    and are left out; q is kept above 1, where the mean is finite. Raises ValueError where nobody is
    left or a mean value is negative.
    """
    frequency, mean_value = (
        np.asarray(column, dtype=np.float64) for column in (frequency, mean_value)
    )
    _check_values(frequency, mean_value)
    repeat = (frequency > 0) & (mean_value > 0)
    scale = float(mean_value[repeat].mean())
    (x, m), counts = distinct_rows(frequency[repeat], mean_value[repeat] / scale)
    optimum = minimise(
        lambda columns, number: _objective(columns, number, penalty),
        [x, m],
        counts,
        STARTS,
        dict.fromkeys(("p", "q", "v"), (LOG_SMALLEST, LOG_LARGEST))
        | {"q": (float(np.log(SMALLEST_Q)), LOG_LARGEST)},
    )
    p, q, v = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = -(optimum.value - penalties + np.log(scale)) * counts.sum()
    return GammaGamma(p, q, v * scale, optimum.report(log_likelihood))


def expected_order_value(
    model: GammaGamma, frequency: np.ndarray, mean_value: np.ndarray
) -> np.ndarray:
    """Expected value of an order, shape (n,): p (v + x m) / (p x + q - 1); the mean customer's where x is 0."""
    value: np.ndarray = (
        model.p * (model.v + frequency * mean_value) / (model.p * frequency + model.q - 1.0)
    )
    return value


def _objective(columns: list[np.ndarray], counts: np.ndarray, penalty: float) -> Objective:
    """Mean negative log-likelihood of mean values m over x orders and its gradient by log p, log q, log v."""
    x, m = columns
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
        by_frequency = (
            gammaln(shape) - gammaln(p * frequencies) - gammaln(q) + q * log_parameters[2]
        )
        value = (
            customers @ by_frequency + p * (frequencies @ log_totals) - sum_log_m - shape @ log_sums
        )
        gradient = np.array(
            [
                frequencies
                @ (customers * (psi(shape) - psi(p * frequencies)) + log_totals - log_sums),
                customers @ (psi(shape) - psi(q) + log_parameters[2]) - log_sums.sum(),
                num_customers * q / v - (counts * shape[index] / (total + v)).sum(),
            ]
        )
        return penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective


def _check_values(frequency: np.ndarray, mean_value: np.ndarray) -> None:
    check_rows(
        ~(mean_value >= 0) | ~np.isfinite(mean_value),
        "mean_value must be finite and at least 0",
        mean_value,
    )
    if not ((frequency > 0) & (mean_value > 0)).any():
        raise ValueError(
            f"none of {len(frequency)} customers paid anything; Gamma-Gamma needs orders of some value"
        )
