"""BG/NBD: how often customers buy and when they leave, fitted by maximum likelihood (Fader, Hardie and Lee 2005).

MBG/NBD is the same but for customers who may leave after their first order too (Batislam, Denizel and Filiztekin 2007).
Its formulas are those of BG/NBD with b + 1 in place of b, for customers without a repeat order as well.

Frequency is the number of repeat order days, recency the time from the first to the last order day, age the time from
the first order day to the cutoff. Recency, age and horizons share one unit, and any unit will do.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, hyp2f1, psi

from lifecycle.value.likelihood import (
    LOG_LARGEST,
    LOG_SMALLEST,
    Objective,
    check_rows,
    distinct_rows,
    minimise,
    penalised,
)

# Where a is above 100 the dropout probabilities no longer differ measurably between customers, and hyp2f1 overflows
# beyond 200.
LOG_LARGEST_A = float(np.log(100.0))
STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.4, -2.0, -0.3, 0.9))
SINGULAR = 1e-5


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
    modified: bool = False  # MBG/NBD

    @property
    def b_seen(self) -> float:
        """What stands for b in the formulas of customers who have ordered."""
        return self.b + 1.0 if self.modified else self.b


def fit_bgnbd(
    frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, *, penalty: float = 0.0, modified: bool = False
) -> BgNbd:
    """Maximum-likelihood BG/NBD (Fader, Hardie and Lee 2005, eq. 6) of customers' summaries, each of shape (n,).

    `modified` fits MBG/NBD.

    `penalty` times the sum of squared logarithms of the scaled parameters is added to the mean negative
    log-likelihood. Raises ValueError where a summary is impossible or nobody ordered twice.
    """
    frequency, recency, age = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, age))
    check_summaries(frequency, recency, age)
    scale = float(age.mean())
    (x, t_x, T), counts = distinct_rows(frequency, recency / scale, age / scale)
    bounds = [(LOG_SMALLEST, LOG_LARGEST)] * 2 + [(LOG_SMALLEST, LOG_LARGEST_A), (LOG_SMALLEST, LOG_LARGEST)]
    objective = _objective(x, t_x, T, counts, penalty, modified)
    optimum = minimise(objective, STARTS, bounds, ("r", "alpha", "a", "b"))
    r, alpha, a, b = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = -(optimum.value - penalties) * counts.sum() - np.log(scale) * frequency.sum()
    return BgNbd(
        r, alpha * scale, a, b, float(log_likelihood),
        optimum.converged, optimum.num_iterations, optimum.message, modified,
    )  # fmt: skip


def probability_active(model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Probability, shape (n,), that a customer has not left by the cutoff.

    Without a repeat order it is 1 by BG/NBD's assumption.
    """
    log_odds_left = (
        np.log(model.a)
        - np.log(model.b_seen + (frequency if model.modified else np.maximum(frequency, 1)) - 1)
        + (model.r + frequency) * np.log((model.alpha + age) / (model.alpha + recency))
    )
    return np.where(model.modified | (np.asarray(frequency) > 0), expit(-log_odds_left), 1.0)


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


def survival(
    model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizons: np.ndarray
) -> np.ndarray:
    """Probability, shape (n, k), of being a customer still at each of the k `horizons` after the cutoff.

    An active customer of rate l and dropout p survives time t with probability exp(-l p t), since a share p of its
    orders is its last. The mean over l ~ gamma(r + x, alpha + T) and p ~ beta(a, b + x) is Euler's integral of
    2F1(r + x, a; a + b + x; -t / (alpha + T)), here after Pfaff's transformation, which is stable.
    """
    elapsed = np.asarray(horizons)[None, :] / (model.alpha + age[:, None])
    z, total = elapsed / (1.0 + elapsed), model.a + model.b_seen + frequency[:, None]
    stays = (1.0 - z) ** model.a * hyp2f1(model.a, model.a + model.b_seen - model.r, total, z)
    active = probability_active(model, frequency, recency, age)[:, None]
    probability: np.ndarray = active * np.minimum.accumulate(np.clip(stays, 0.0, 1.0), axis=1)
    return probability


def probability_no_purchase(
    model: BgNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, horizon: float | np.ndarray
) -> np.ndarray:
    """Probability, shape (n,), of no order in the `horizon` after the cutoff: left already, or active and silent."""
    active = probability_active(model, frequency, recency, age)
    silent = np.exp(-(model.r + frequency) * np.log1p(horizon / (model.alpha + age)))
    unlikely: np.ndarray = active * silent + (1.0 - active)
    return unlikely


def _purchases_if_active(model: BgNbd, frequency: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """Expected orders of a customer active at the cutoff; `elapsed` is horizon / (alpha + age).

    The closed form is 0 / 0 at a = 1 and, without a repeat order, at a + b = 1. The function is smooth there, so that
    within SINGULAR of either the line between its values on both sides serves.
    """
    pole = min((1.0, 1.0 - model.b_seen), key=lambda value: abs(model.a - value))
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
    total = a + model.b_seen + frequency - 1.0
    kept = (1.0 - z) ** (a - 1.0) * hyp2f1(a - 1.0, a + model.b_seen - 1.0 - model.r, total, z)
    purchases: np.ndarray = total / (a - 1.0) * (1.0 - kept)
    return purchases


def _objective(
    x: np.ndarray, t_x: np.ndarray, age: np.ndarray, counts: np.ndarray, penalty: float, modified: bool = False
) -> Objective:
    """Mean negative log-likelihood and its gradient by log r, log alpha, log a, log b.

    Gamma functions are taken once per frequency, logarithms once per distinct summary. Sums over summaries avoid BLAS,
    whose threads cost more than they add on busy machines.
    """
    num_customers = counts.sum()
    frequencies, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, weights=counts)
    may_have_left = (x > 0) | modified
    stayed = frequencies + modified  # chances to leave that were not taken
    previous = np.maximum(stayed, 1.0) - 1.0  # before the last

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = np.exp(log_parameters)
        log_age = np.log(alpha + age)
        log_ratio = log_age - np.log(alpha + t_x)
        log_odds_left = (log_parameters[2] - np.log(b + previous))[index] + (r + x) * log_ratio
        odds = np.exp(-np.abs(log_odds_left))
        left = np.where(may_have_left, np.where(log_odds_left > 0, 1.0, odds) / (1.0 + odds), 0.0)
        log_either = np.where(may_have_left, np.maximum(log_odds_left, 0.0) + np.log1p(odds), 0.0)
        mean_inverse = (1.0 - left) / (alpha + age) + left / (alpha + t_x)
        both = psi(a + b) - psi(a + b + stayed)
        by_frequency = (
            gammaln(r + frequencies) - gammaln(r) + r * log_parameters[1]
            + gammaln(a + b) + gammaln(b + stayed) - gammaln(b) - gammaln(a + b + stayed)
        )  # fmt: skip
        counts_left = counts * left
        left_by_frequency = np.bincount(index, weights=counts_left)
        gradient = np.array(
            [
                customers @ (psi(r + frequencies) - psi(r) + log_parameters[1])
                + (counts_left * log_ratio - counts * log_age).sum(),
                num_customers * r / alpha - (counts * (r + x) * mean_inverse).sum(),
                customers @ both + left_by_frequency.sum() / a,
                customers @ (both + psi(b + stayed) - psi(b)) - left_by_frequency @ (1.0 / (b + previous)),
            ]
        )  # fmt: skip
        value = customers @ by_frequency + (counts * (log_either - (r + x) * log_age)).sum()
        return penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective


def check_summaries(frequency: np.ndarray, recency: np.ndarray, age: np.ndarray) -> None:
    """ValueError for summaries, each of shape (n,), that no customers can have, or where nobody ordered twice."""
    check_rows(~(frequency >= 0) | (frequency % 1 != 0), "frequency must be a whole number of at least 0", frequency)
    check_rows(~(age > 0) | ~np.isfinite(age), "age must be positive and finite", age)
    check_rows(~(recency >= 0) | (recency > age), "recency must lie between 0 and age", recency)
    check_rows((frequency == 0) & (recency > 0), "recency must be 0 without a repeat order", recency)
    if not frequency.any():
        raise ValueError(f"none of {len(frequency)} customers ordered on a second day; the model needs repeat orders")
