"""Integrals of (alpha + t)^-p (beta + t)^-q over a stretch of time, which Pareto/NBD is made of.

The closed forms are differences of Gauss' hypergeometric functions that lose all digits where p is
large, where alpha and beta are close, or far apart. Quadrature has only positive terms instead:
with m = min(alpha, beta) and u = log((m + t) / (m + start)) the integrand is analytic for |Im u| <
pi whatever the parameters, so that Gauss-Legendre converges geometrically; derivatives by the
parameters are taken under the integral.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

# Nodes, by the longest stretch of u and the most decay of the integrand (in powers of e) that they are used for; each
# leaves a relative error below 1e-10.
NODES = ((8, 1.0, 2.0), (16, 3.5, 12.0), (32, 7.0, 40.0), (128, np.inf, np.inf))
NEGLIGIBLE = 40.0  # e^-40 of the integrand's first value is left out
CHUNK = 1 << 16  # values per array: what stays in a core's cache
SMALLEST = 1e-300


@dataclass(frozen=True)
class Nodes:
    """Quadrature of some rows' integrals: arrays (k, nodes), of logarithms; `rows` (k,) says whose they are."""

    rows: np.ndarray
    log_alpha: np.ndarray  # log(alpha + t)
    log_beta: np.ndarray  # log(beta + t)
    log_term: np.ndarray  # the integral is the sum of exp(log_term) over the nodes


def quadrature(
    start: np.ndarray, end: np.ndarray, alpha: float, beta: float, p: np.ndarray, q: float
) -> Iterator[Nodes]:
    """Nodes of the integrals from `start` to `end` of (alpha + t)^-p (beta + t)^-q, all (n,), in chunks.

    `p + q` must be above 1, and `alpha` and `beta` positive.
    """
    smaller, larger, on_smaller, on_larger = (
        (alpha, beta, p, q) if alpha <= beta else (beta, alpha, q, p)
    )
    first = smaller + start
    length = np.log1p((end - start) / first)
    # Of the integrand by u, at its start; it grows.
    decay = on_smaller - 1.0 + on_larger * first / (larger + start)
    length = np.minimum(length, NEGLIGIBLE / np.maximum(decay, SMALLEST))
    most_decay = (p + q - 1.0) * length
    done = np.zeros(len(first), dtype=bool)
    for num_nodes, longest, most in NODES:
        fits = ~done & (length <= longest) & (most_decay <= most)
        done |= fits
        rows = np.flatnonzero(fits)
        positions, weights = _gauss_legendre(num_nodes)
        log_weights = np.log(weights)
        for begin in range(0, len(rows), CHUNK // num_nodes):
            chunk = rows[begin : begin + CHUNK // num_nodes]
            log_smaller = np.log(first[chunk])[:, None] + length[chunk, None] * positions
            log_larger = np.log(np.exp(log_smaller) + (larger - smaller))
            log_alpha, log_beta = (
                (log_smaller, log_larger) if alpha <= beta else (log_larger, log_smaller)
            )
            log_step = np.log(np.maximum(length[chunk], SMALLEST))[:, None] + log_weights
            log_term = log_step + log_smaller - p[chunk, None] * log_alpha - q * log_beta
            yield Nodes(chunk, log_alpha, log_beta, log_term)


def log_integral(
    start: np.ndarray, end: np.ndarray, alpha: float, beta: float, p: np.ndarray, q: float
) -> np.ndarray:
    """Logarithm, shape (n,), of the integrals of `quadrature`."""
    result = np.empty(len(start))
    for nodes in quadrature(start, end, alpha, beta, p, q):
        highest = nodes.log_term.max(axis=1)
        result[nodes.rows] = highest + np.log(np.exp(nodes.log_term - highest[:, None]).sum(axis=1))
    return result


@cache
def _gauss_legendre(num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and weights on [0, 1]."""
    positions, weights = np.polynomial.legendre.leggauss(num_nodes)
    return (positions + 1.0) / 2.0, weights / 2.0
