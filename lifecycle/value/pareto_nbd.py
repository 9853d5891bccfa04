"""Pareto/NBD: orders at gamma rates until a customer leaves unseen (Schmittlein, Morrison and Colombo 1987).

Unlike in BG/NBD a customer may leave at any moment, also before a second order. Summaries are those of BG/NBD.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, psi

from lifecycle.value.btyd import check_summaries
from lifecycle.value.likelihood import LOG_LARGEST, LOG_SMALLEST, Objective, distinct_rows, minimise, penalised

NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)
NEGLIGIBLE = 22.0
STARTS = ((0.0, 0.0, 0.0, 0.0), (-0.6, -1.3, -0.5, -1.2), (0.5, -1.0, -1.5, 1.5))
ROWS_AT_ONCE = 50_000  # so that the nodes of a million customers do not fill the memory


@dataclass(frozen=True)
class ParetoNbd:
    """Orders arrive at gamma(r, alpha) rates until an exponential lifetime of gamma(s, beta) rate ends.

    `alpha` and `beta` are in the time unit of the fitted summaries; `log_likelihood` is without penalty. Where
    `converged` is false, `message` says why.
    """

    r: float
    alpha: float
    s: float
    beta: float
    log_likelihood: float
    converged: bool
    num_iterations: int
    message: str


def fit_pareto_nbd(frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, *, penalty: float = 0.0) -> ParetoNbd:
    """Maximum likelihood of customers' summaries, each of shape (n,); the likelihood is that of Fader and Hardie 2005.

    `penalty` times the sum of squared logarithms of the scaled parameters is added to the mean negative
    log-likelihood. Raises ValueError where a summary is impossible or nobody ordered twice.
    """
    frequency, recency, age = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, age))
    check_summaries(frequency, recency, age)
    scale = float(age.mean())
    (x, t_x, T), counts = distinct_rows(frequency, recency / scale, age / scale)
    objective = _objective(x, t_x, T, counts, penalty)
    bounds = [(LOG_SMALLEST, LOG_LARGEST)] * 4
    optimum = minimise(objective, STARTS, bounds, ("r", "alpha", "s", "beta"))
    r, alpha, s, beta = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = -(optimum.value - penalties) * counts.sum() - np.log(scale) * frequency.sum()
    return ParetoNbd(
        r, alpha * scale, s, beta * scale, float(log_likelihood),
        optimum.converged, optimum.num_iterations, optimum.message,
    )  # fmt: skip


def probability_active(model: ParetoNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Probability, shape (n,), that a customer has not left by the cutoff."""
    return 1.0 / (1.0 + _odds_left(model, frequency, recency, age))


def expected_purchases(
    model: ParetoNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizon: float | np.ndarray
) -> np.ndarray:
    """Expected order days, shape (n,), in the `horizon` after the cutoff (Fader and Hardie 2005, eq. 41)."""
    active = probability_active(model, frequency, recency, age)
    return active * _purchases_if_active(model, frequency, age, horizon)  # type: ignore[no-any-return]


def cumulative_purchases(
    model: ParetoNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizons: np.ndarray
) -> np.ndarray:
    """Expected order days, shape (n, k), up to each of the k ascending `horizons` after the cutoff."""
    active = probability_active(model, frequency, recency, age)[:, None]
    later = _purchases_if_active(model, frequency[:, None], age[:, None], np.asarray(horizons)[None, :])
    return active * later  # type: ignore[no-any-return]


def survival(
    model: ParetoNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizons: np.ndarray
) -> np.ndarray:
    """Probability, shape (n, k), of being a customer still at each of the k `horizons` after the cutoff."""
    active = probability_active(model, frequency, recency, age)[:, None]
    elapsed = np.asarray(horizons)[None, :] / (model.beta + age[:, None])
    return active * np.exp(-model.s * np.log1p(elapsed))  # type: ignore[no-any-return]


def probability_no_purchase(
    model: ParetoNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizon: float | np.ndarray
) -> np.ndarray:
    """Probability, shape (n,), of no order in the `horizon` after the cutoff: left already, or leaving before one."""
    age, until = np.broadcast_arrays(age, age + horizon)
    active = probability_active(model, frequency, recency, age)
    stays = _log_alive(model.r, model.alpha, model.s, model.beta, frequency, until)
    now = _log_alive(model.r, model.alpha, model.s, model.beta, frequency, age)
    silent = np.exp(stays - now) + _odds_left(model, frequency, age, until) * np.exp(stays - now)
    unlikely: np.ndarray = active * np.minimum(silent, 1.0) + (1.0 - active)
    return unlikely


def _purchases_if_active(
    model: ParetoNbd, frequency: np.ndarray, age: np.ndarray, horizon: float | np.ndarray
) -> np.ndarray:
    """Of a customer active at the cutoff; the closed form is 0 / 0 at s = 1, where the lifetime's logarithm remains."""
    log_elapsed = np.log1p(horizon / (model.beta + age))
    excess = model.s - 1.0
    lifetime = log_elapsed if abs(excess) < 1e-9 else -np.expm1(-excess * log_elapsed) / excess
    purchases: np.ndarray = (model.r + frequency) / (model.alpha + age) * (model.beta + age) * lifetime
    return purchases


def _odds_left(model: ParetoNbd, frequency: np.ndarray, since: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Odds, shape (n,), of having left between two times against having stayed, without an order after the first."""
    x, since, until = (np.asarray(column, dtype=np.float64) for column in (frequency, since, until))
    odds = np.empty(x.shape)
    for start in range(0, len(x), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        terms, *_ = _leaving(model.r, model.alpha, model.s, model.beta, x[rows], since[rows], until[rows])
        odds[rows] = terms.sum(axis=1)
    return odds


def _log_alive(r: float, alpha: float, s: float, beta: float, x: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Logarithm, without what is constant in time, of the likelihood of still being a customer at `age`."""
    alive: np.ndarray = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
    return alive


def _leaving(
    r: float, alpha: float, s: float, beta: float, x: np.ndarray, since: np.ndarray, until: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The likelihood of leaving at moments between `since` and `until` over that of staying until then, (n, nodes).

    It is s times the integral of (alpha + y)^-(r + x) (beta + y)^-(s + 1), which the usual hypergeometric functions
    give as the difference of nearly equal numbers. Gauss's nodes stand in u = log(d + y) with d the lesser of alpha and
    beta, in which the integrand is smooth, and end where it has fallen to e^-NEGLIGIBLE. Also returned: log(alpha + y)
    and log(beta + y) at the nodes.
    """
    order, least = (r + x)[:, None], min(alpha, beta)
    since, until = since[:, None], until[:, None]
    first = since + np.minimum(
        (alpha + since) * np.expm1(np.minimum(NEGLIGIBLE / order, 50.0)),
        (beta + since) * np.expm1(min(NEGLIGIBLE / (s + 1.0), 50.0)),
    )
    half = (np.log(least + np.minimum(until, first)) - np.log(least + since)) / 2.0
    growth = (least + since) * np.expm1(half * (NODES + 1.0))  # y - since
    log_alpha, log_beta = np.log(alpha + since + growth), np.log(beta + since + growth)
    log_density = np.log(least + since + growth) - order * log_alpha - (s + 1.0) * log_beta
    stays = _log_alive(r, alpha, s, beta, x[:, None], until)
    odds = s * half * WEIGHTS * np.exp(np.minimum(log_density - stays, 600.0))
    return odds, log_alpha, log_beta


def _objective(x: np.ndarray, t_x: np.ndarray, age: np.ndarray, counts: np.ndarray, penalty: float) -> Objective:
    """Mean negative log-likelihood and its gradient by log r, log alpha, log s, log beta."""
    num_customers = counts.sum()
    frequencies, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, weights=counts)

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, s, beta = (float(value) for value in np.exp(log_parameters))
        log_r_alpha, log_s_beta = r * log_parameters[1], s * log_parameters[3]
        value = customers @ (gammaln(r + frequencies) - gammaln(r)) + num_customers * (log_r_alpha + log_s_beta)
        gradient = num_customers * np.array([log_parameters[1], r / alpha, log_parameters[3], s / beta])
        gradient[0] += customers @ (psi(r + frequencies) - psi(r))
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            part, slope = _part(r, alpha, s, beta, x[rows], t_x[rows], age[rows], counts[rows])
            value, gradient = value + part, gradient + slope
        return penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective


def _part(
    r: float, alpha: float, s: float, beta: float, x: np.ndarray, t_x: np.ndarray, age: np.ndarray, counts: np.ndarray
) -> tuple[float, np.ndarray]:
    """Some customers' part of the log-likelihood that depends on when they ordered, and its gradient (4,)."""
    leaving, log_alpha, log_beta = _leaving(r, alpha, s, beta, x, t_x, age)
    odds = leaving.sum(axis=1)
    value = float((counts * (_log_alive(r, alpha, s, beta, x, age) + np.log1p(odds))).sum())
    stayed = counts / (1.0 + odds)
    left = leaving * stayed[:, None]
    by_r = -(stayed * np.log(alpha + age)).sum() - (left * log_alpha).sum()
    by_alpha = -(stayed * (r + x) / (alpha + age)).sum() - (left * (r + x)[:, None] * np.exp(-log_alpha)).sum()
    by_s = -(stayed * np.log(beta + age)).sum() + (left * (1.0 / s - log_beta)).sum()
    by_beta = -(stayed * s / (beta + age)).sum() - (left * (s + 1.0) * np.exp(-log_beta)).sum()
    return value, np.array([by_r, by_alpha, by_s, by_beta])
