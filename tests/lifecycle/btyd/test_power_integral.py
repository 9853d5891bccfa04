"""Integrals of powers against closed forms and mpmath over the whole range of parameters."""

import mpmath
import numpy as np
import pytest

from lifecycle.btyd.power_integral import log_integral


def integral(start: float, end: float, alpha: float, beta: float, p: float, q: float) -> float:
    found = log_integral(np.array([start]), np.array([end]), alpha, beta, np.array([p]), q)
    return float(found[0])


@pytest.mark.parametrize("power", [1.5, 3.0, 40.0, 2000.0])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.9999, 1.0), (0.0, 1e-7), (2.0, 1e4)])
def test_equal_offsets_have_a_closed_form(power: float, start: float, end: float) -> None:
    with mpmath.workdps(40):
        first, last, n = mpmath.mpf(start) + 2, mpmath.mpf(end) + 2, mpmath.mpf(power)
        expected = mpmath.log((first ** (1 - n) - last ** (1 - n)) / (n - 1))
    for p in (power - 1.2, 0.3):
        assert integral(start, end, 2.0, 2.0, p, power - p) == pytest.approx(
            float(expected), rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("seed", range(40))
def test_random_parameters_agree_with_many_digits(seed: int) -> None:
    random = np.random.default_rng(seed)
    alpha, beta = np.exp(random.uniform(-7, 7, 2))
    p, q = np.exp(random.uniform(-5, 6)), 1.0 + np.exp(random.uniform(-5, 4))
    end = np.exp(random.uniform(-4, 3))
    start = end * random.choice([0.0, 0.3, 0.999])
    with mpmath.workdps(40):
        points = [
            mpmath.mpf(start) + (mpmath.mpf(end) - start) * mpmath.mpf(3) ** -k
            for k in range(12, -1, -1)
        ]
        first = (mpmath.mpf(alpha) + start) ** -mpmath.mpf(p) * (
            mpmath.mpf(beta) + start
        ) ** -mpmath.mpf(q)
        shares = mpmath.quad(
            lambda t: (
                (mpmath.mpf(alpha) + t) ** -mpmath.mpf(p)
                * (mpmath.mpf(beta) + t) ** -mpmath.mpf(q)
                / first
            ),
            [mpmath.mpf(start), *points],
        )
        expected = float(mpmath.log(shares) + mpmath.log(first))
    assert integral(start, end, alpha, beta, p, q) == pytest.approx(expected, rel=1e-10, abs=1e-9)


def test_empty_stretch_is_nothing_and_rows_do_not_mix() -> None:
    start, end, p = (
        np.array([1.0, 0.0, 3.0]),
        np.array([1.0, 9.0, 3.5]),
        np.array([2.0, 1.0, 500.0]),
    )
    together = log_integral(start, end, 2.0, 5.0, p, 1.6)
    assert together[0] < -600
    for row in (1, 2):
        assert together[row] == integral(start[row], end[row], 2.0, 5.0, p[row], 1.6)
