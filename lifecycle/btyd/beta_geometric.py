"""BG/NBD and MBG/NBD: after an order a customer leaves with a probability of its own.

BG/NBD: Fader, Hardie and Lee (2005), "Counting your customers" the easy way. MBG/NBD: Batislam,
Denizel and Filiztekin (2007), Empirical validation and comparison of models for customer base
analysis. The two differ in one thing: in MBG/NBD a customer may leave after its very first order,
in BG/NBD after a repeat order only. With n chances to leave, n = x in BG/NBD and x + 1 in MBG/NBD,
both have the likelihood

    L = Gamma(r + x) alpha^r / (Gamma(r) B(a, b)) [B(a, b + n) / (alpha + T)^(r + x)
                                                   + B(a + 1, b + n - 1) / (alpha + t_x)^(r + x) if n > 0].
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, hyp2f1, psi

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

# Inside these hyp2f1 leaves a relative error below 1e-7 in what follows, whatever the frequency; it overflows from
# r = 140, a = 200 or b = 220 on. Customers hardly differ any more where r or a is so large.
BOUNDS = {
    "r": (LOG_SMALLEST, float(np.log(100.0))),
    "alpha": (LOG_SMALLEST, LOG_LARGEST),
    "a": (LOG_SMALLEST, float(np.log(100.0))),
    "b": (LOG_SMALLEST, float(np.log(200.0))),
}
STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.4, -2.0, -0.3, 0.9), (0.5, -1.0, -2.0, 1.5))
SINGULAR = 1e-5


@dataclass(frozen=True)
class BetaGeometricNbd:
    """Orders arrive at gamma(r, alpha) rates; after each, a customer leaves with a beta(a, b) probability.

    `alpha` is in the time unit of the fitted summaries. `first_chances` is how often a customer
    could leave before its first repeat order: 0 in BG/NBD, 1 in MBG/NBD.
    """

    r: float
    alpha: float
    a: float
    b: float
    first_chances: int
    report: FitReport


def fit_beta_geometric(
    frequency: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    *,
    first_chances: int,
    penalty: float = 0.0,
) -> BetaGeometricNbd:
    """Maximum-likelihood fit to customers' summaries, each of shape (n,).

    `penalty` times the sum of squared logarithms of the scaled parameters is added to the mean
    negative log-likelihood. Raises ValueError where a summary is impossible or nobody ordered
    twice.
    """
    frequency, recency, age = (
        np.asarray(column, dtype=np.float64) for column in (frequency, recency, age)
    )
    check_summaries(frequency, recency, age)
    scale = float(age.mean())
    (x, t_x, T), counts = distinct_rows(frequency, recency, age)
    optimum = minimise(
        lambda columns, number: _objective(columns, number, first_chances, penalty),
        [x, t_x / scale, T / scale],
        counts,
        STARTS,
        BOUNDS,
    )
    r, alpha, a, b = (float(value) for value in np.exp(optimum.log_parameters))
    penalties = penalty * float(np.sum(optimum.log_parameters**2))
    log_likelihood = -(optimum.value - penalties) * counts.sum() - np.log(scale) * frequency.sum()
    return BetaGeometricNbd(r, alpha * scale, a, b, first_chances, optimum.report(log_likelihood))


def probability_active(
    model: BetaGeometricNbd, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """Probability, shape (n,), of not having left by the cutoff; 1 by assumption where there was no chance to leave."""
    chances = frequency + model.first_chances
    log_odds_left = (
        np.log(model.a)
        - np.log(model.b + np.maximum(chances, 1) - 1)
        + (model.r + frequency) * np.log((model.alpha + age) / (model.alpha + recency))
    )
    return np.where(chances > 0, expit(-log_odds_left), 1.0)


def purchases_if_active(
    model: BetaGeometricNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """Expected order days of a customer active at the cutoff; arguments of any shapes that broadcast.

    Fader, Hardie and Lee (2005), eq. 10, and Batislam, Denizel and Filiztekin (2007), eq. 13. The
    closed form is 0 / 0 at a = 1 and, without a chance to leave, at a + b = 1. The function is
    smooth there, so that within SINGULAR of either the line between its values on both sides
    serves.
    """
    elapsed = horizon / (model.alpha + age)
    pole = min((1.0, 1.0 - model.b), key=lambda value: abs(model.a - value))
    share = (model.a - pole + SINGULAR) / (2.0 * SINGULAR)
    if not 0.0 < share < 1.0:
        return _closed_form(model, model.a, frequency, elapsed)
    below = _closed_form(model, pole - SINGULAR, frequency, elapsed)
    above = _closed_form(model, pole + SINGULAR, frequency, elapsed)
    purchases: np.ndarray = (1.0 - share) * below + share * above
    return purchases


def survival_if_active(
    model: BetaGeometricNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """Probability that a customer active at the cutoff is one still after the horizon.

    It survives time t with probability exp(-l p t), since a share p of its orders is its last. The
    mean over l ~ gamma(r + x, alpha + T) and p ~ beta(a, b + n) is Euler's integral of 2F1(r + x,
    a; a + b + n; -t / (alpha + T)), here after Pfaff's transformation, which is stable.
    """
    elapsed = horizon / (model.alpha + age)
    z = elapsed / (1.0 + elapsed)
    total = model.a + model.b + frequency + model.first_chances
    stays = (1.0 - z) ** model.a * hyp2f1(model.a, total - model.r - frequency, total, z)
    probability: np.ndarray = np.clip(stays, 0.0, 1.0)
    return probability


def silence_if_active(
    model: BetaGeometricNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """Probability that a customer active at the cutoff orders nothing over the horizon."""
    silent: np.ndarray = np.exp(-(model.r + frequency) * np.log1p(horizon / (model.alpha + age)))
    return silent


def squared_rate_if_active(
    model: BetaGeometricNbd, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """E[l^2 (1 - p) exp(-l p t)] of a customer active at the cutoff, at t = horizon; see `purchase_pairs`.

    With R = r + x, A = alpha + T, B = b + n and z = t / A it is R (R + 1) / A^2 times B / (a + B)
    times 2F1(R + 2, a; a + B + 1; -z), here after Pfaff's transformation.
    """
    orders = model.r + frequency
    now = model.alpha + age
    elapsed = horizon / now
    z = elapsed / (1.0 + elapsed)
    total = model.a + model.b + frequency + model.first_chances
    stays = (1.0 - z) ** model.a * hyp2f1(model.a, total - 1.0 - orders, total + 1.0, z)
    rate: np.ndarray = (
        orders * (orders + 1.0) / now**2 * (1.0 - model.a / total) * np.maximum(stays, 0.0)
    )
    return rate


def _closed_form(
    model: BetaGeometricNbd, a: float, frequency: np.ndarray, elapsed: np.ndarray
) -> np.ndarray:
    """The numerator of eq. 10 after Euler's transformation, which keeps the powers of large frequencies out of it."""
    z = elapsed / (1.0 + elapsed)
    total = a + model.b + frequency + model.first_chances - 1.0
    kept = (1.0 - z) ** (a - 1.0) * hyp2f1(a - 1.0, total - model.r - frequency, total, z)
    purchases: np.ndarray = total / (a - 1.0) * (1.0 - kept)
    return purchases


def _objective(
    columns: list[np.ndarray], counts: np.ndarray, first_chances: int, penalty: float
) -> Objective:
    """Mean negative log-likelihood of x, t_x, T and its gradient by log r, log alpha, log a, log b.

    Gamma functions are taken once per frequency, logarithms once per distinct summary. Sums over
    summaries avoid BLAS, whose threads cost more than they add on busy machines.
    """
    x, t_x, age = columns
    num_customers = counts.sum()
    frequencies, index = np.unique(x, return_inverse=True)
    customers = np.bincount(index, weights=counts)
    chances = frequencies + first_chances
    previous = np.maximum(chances, 1.0) - 1.0
    could_leave = (chances > 0)[index]

    def objective(log_parameters: np.ndarray) -> tuple[float, np.ndarray]:
        r, alpha, a, b = np.exp(log_parameters)
        log_age = np.log(alpha + age)
        log_ratio = log_age - np.log(alpha + t_x)
        log_odds_left = (log_parameters[2] - np.log(b + previous))[index] + (r + x) * log_ratio
        odds = np.exp(-np.abs(log_odds_left))
        left = np.where(could_leave, np.where(log_odds_left > 0, 1.0, odds) / (1.0 + odds), 0.0)
        log_either = np.where(could_leave, np.maximum(log_odds_left, 0.0) + np.log1p(odds), 0.0)
        mean_inverse = (1.0 - left) / (alpha + age) + left / (alpha + t_x)
        both = psi(a + b) - psi(a + b + chances)
        by_frequency = (
            gammaln(r + frequencies) - gammaln(r) + r * log_parameters[1]
            + gammaln(a + b) + gammaln(b + chances) - gammaln(b) - gammaln(a + b + chances)
        )  # fmt: skip
        counts_left = counts * left
        left_by_frequency = np.bincount(index, weights=counts_left)
        gradient = np.array(
            [
                customers @ (psi(r + frequencies) - psi(r) + log_parameters[1])
                + (counts_left * log_ratio - counts * log_age).sum(),
                num_customers * r / alpha - (counts * (r + x) * mean_inverse).sum(),
                customers @ both + left_by_frequency.sum() / a,
                customers @ (both + psi(b + chances) - psi(b)) - left_by_frequency @ (1.0 / (b + previous)),
            ]
        )  # fmt: skip
        value = customers @ by_frequency + (counts * (log_either - (r + x) * log_age)).sum()
        return penalised(value / num_customers, gradient / num_customers, log_parameters, penalty)

    return objective
