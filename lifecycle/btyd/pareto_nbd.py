"""Pareto/NBD: customers order at a rate of their own and leave, unseen, at another.

Schmittlein, Morrison and Colombo (1987), Counting your customers. With orders at rate l ~ gamma(r,
alpha) and departure at rate m ~ gamma(s, beta), a customer of x repeat orders, the last at t_x,
watched until T, has the likelihood (Fader and Hardie 2005, A note on deriving the Pareto/NBD model)

    L = Gamma(r + x) alpha^r beta^s / Gamma(r) [(alpha + T)^-(r + x) (beta + T)^-s + s I],
    I = integral from t_x to T of (alpha + t)^-(r + x) (beta + t)^-(s + 1) dt,

whose two terms are those of having stayed and of having left at t.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, psi

from lifecycle.btyd.likelihood import (
    LOG_LARGEST,
    LOG_SMALLEST,
    FitReport,
    Objective,
    check_summaries,
    distinct_rows,
    minimise,
    penalised,
)
from lifecycle.btyd.power_integral import log_integral, quadrature

STARTS = ((0.0, 0.0, 0.0, 0.0), (-0.6, -1.2, -0.5, -1.1), (0.5, -0.5, -1.5, 1.0))


@dataclass(frozen=True)
class ParetoNbd:
    """Orders arrive at gamma(r, alpha) rates, customers leave at gamma(s, beta) rates.

    `alpha` and `beta` are in the time unit of the fitted summaries.
    """

    r: float
    alpha: float
    s: float
    beta: float
    report: FitReport


def fit_pareto_nbd(
    frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, *, penalty: float = 0.0
) -> ParetoNbd:
    """Maximum-likelihood fit to customers' summaries, each of shape (n,); arguments as for `fit_beta_geometric`."""
    frequency, recency, age = (
        np.asarray(column, dtype=np.float64) for column in (frequency, recency, age)
    )
    check_summaries(frequency, recency, age)
    scale = float(age.mean())
    (x, t_x, T), counts = distinct_rows(frequency, recency, age)
    optimum = minimise(
        lambda columns, number: _objective(columns, number, penalty),
        [x, t_x / scale, T / scale],
        counts,
        STARTS,
        dict.fromkeys(("r", "alpha", "s", "beta"), (LOG_SMALLEST, LOG_LARGEST)),
    )
    r, alpha, s, beta = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = -(optimum.value - penalties) * counts.sum() - np.log(scale) * frequency.sum()
    return ParetoNbd(r, alpha * scale, s, beta * scale, optimum.report(log_likelihood))


def probability_active(
    model: ParetoNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """Probability, shape (n,), of not having left by the cutoff: the first term of L as a share of both."""
    orders = model.r + frequency
    stayed = -orders * np.log(model.alpha + age) - model.s * np.log(model.beta + age)
    left = np.log(model.s) + log_integral(
        recency, age, model.alpha, model.beta, orders, model.s + 1.0
    )
    active: np.ndarray = expit(stayed - left)
    return active


def purchases_if_active(
    model: ParetoNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """Expected order days of a customer active at the cutoff; arguments of any shapes that broadcast.

    (r + x) (beta + T) / (alpha + T) (1 - (1 + horizon / (beta + T))^-(s - 1)) / (s - 1), Fader and
    Hardie (2005), eq. 41; at s = 1 the last fraction is its limit, a logarithm.
    """
    log_growth = np.log1p(horizon / (model.beta + age))
    time = (
        -np.expm1(-(model.s - 1.0) * log_growth) / (model.s - 1.0) if model.s != 1.0 else log_growth
    )
    purchases: np.ndarray = (model.r + frequency) * (model.beta + age) / (model.alpha + age) * time
    return purchases


def survival_if_active(
    model: ParetoNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """Probability that a customer active at the cutoff is one still after the horizon, whatever its `frequency`."""
    stays = np.exp(-model.s * np.log1p(horizon / (model.beta + age)))
    return np.broadcast_to(stays, np.broadcast_shapes(stays.shape, np.shape(frequency)))


def silence_if_active(
    model: ParetoNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """Probability that a customer active at the cutoff orders nothing over the horizon.

    One minus that of a next order at some t within it, R A^R B^s times the integral of (A + t)^-(R
    + 1) (B + t)^-s, with R = r + x, A = alpha + T and B = beta + T.
    """
    shape = np.broadcast_shapes(np.shape(frequency), np.shape(age), np.shape(horizon))
    x, now, ahead = (np.broadcast_to(column, shape).ravel() for column in (frequency, age, horizon))
    orders = model.r + x
    scale = np.log(orders) + orders * np.log(model.alpha + now) + model.s * np.log(model.beta + now)
    ordered = scale + log_integral(now, now + ahead, model.alpha, model.beta, orders + 1.0, model.s)
    silent: np.ndarray = np.clip(-np.expm1(ordered), 0.0, 1.0).reshape(shape)
    return silent


def squared_rate_if_active(
    model: ParetoNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """E[l^2 exp(-m t)] of a customer active at the cutoff, at t = horizon; see `purchase_pairs`."""
    orders = model.r + frequency
    stays = survival_if_active(model, frequency, age, horizon)
    rate: np.ndarray = orders * (orders + 1.0) / (model.alpha + age) ** 2 * stays
    return rate


def _objective(columns: list[np.ndarray], counts: np.ndarray, penalty: float) -> Objective:
    """Mean negative log-likelihood of x, t_x, T and its gradient by log r, log alpha, log s, log beta.

    By Fisher's identity the gradient is that of the terms' logarithms, averaged over what may have
    happened: staying, and leaving at each node of the quadrature.
    """
    x, t_x, age = columns
    num_customers = counts.sum()
    frequencies, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, weights=counts)

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, s, beta = (float(value) for value in np.exp(log_parameters))
        orders = r + x
        value = customers @ (gammaln(r + frequencies) - gammaln(r))
        value += num_customers * (r * log_parameters[1] + s * log_parameters[3])
        gradient = np.array(
            [
                customers @ (psi(r + frequencies) - psi(r)) + num_customers * log_parameters[1],
                num_customers * r / alpha,
                num_customers * log_parameters[3],
                num_customers * s / beta,
            ]
        )
        for nodes in quadrature(t_x, age, alpha, beta, orders, s + 1.0):
            rows = orders[nodes.rows]
            number = counts[nodes.rows]
            log_alpha = np.log(alpha + age[nodes.rows])
            log_beta = np.log(beta + age[nodes.rows])
            stayed = -rows * log_alpha - s * log_beta
            left = log_parameters[2] + nodes.log_term
            highest = np.maximum(stayed, left.max(axis=1))
            left = np.exp(left - highest[:, None])
            stayed = np.exp(stayed - highest)
            either = stayed + left.sum(axis=1)
            value += (number * (highest + np.log(either))).sum()
            number = number / either
            stayed *= number
            left *= number[:, None]
            by_alpha = (left * np.exp(-nodes.log_alpha)).sum(axis=1) + stayed * np.exp(-log_alpha)
            by_beta = (left * np.exp(-nodes.log_beta)).sum()
            gradient -= [
                (left * nodes.log_alpha).sum() + (stayed * log_alpha).sum(),
                (rows * by_alpha).sum(),
                (left * nodes.log_beta).sum() + (stayed * log_beta).sum() - left.sum() / s,
                s * (stayed * np.exp(-log_beta)).sum() + (s + 1.0) * by_beta,
            ]
        return penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective
