"""Gamma-Gamma against the published CDNOW results, numerical integration, and values no model could explain."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from lifecycle.btyd import gamma_gamma
from lifecycle.btyd.gamma_gamma import GammaGamma, expected_order_value, fit_gamma_gamma
from tests.builders import REPORT, Columns


def test_on_cdnow_gives_published_parameters(cdnow: Columns) -> None:
    model = fit_gamma_gamma(cdnow[0], cdnow[3])  # Fader and Hardie 2013: p 6.25, q 3.74, v 15.44
    assert model.report.converged
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 15.44), abs=0.01)


def test_unit_of_money_changes_v_alone(cdnow: Columns) -> None:
    euros, cents = fit_gamma_gamma(cdnow[0], cdnow[3]), fit_gamma_gamma(cdnow[0], 100 * cdnow[3])
    assert (cents.p, cents.q, cents.v / 100) == pytest.approx((euros.p, euros.q, euros.v), rel=1e-5)
    repeat_customers = (cdnow[0] > 0).sum()
    assert cents.report.log_likelihood == pytest.approx(
        euros.report.log_likelihood - repeat_customers * np.log(100), rel=1e-9
    )


@pytest.mark.parametrize("point", [(1.8, 1.3, 2.7), (-1.0, 0.5, 4.0), (4.0, 3.0, -1.0)])
def test_value_and_gradient(point: tuple[float, ...]) -> None:
    x, m, counts = (
        np.array([1.0, 2.0, 2.0, 9.0]),
        np.array([0.2, 1.5, 30.0, 4.0]),
        np.array([1.0, 3.0, 2.0, 5.0]),
    )
    objective = gamma_gamma._objective([x, m], counts, 0.02)
    p, q, v = np.exp(point)

    def density(n: float, mean: float) -> float:
        """Of the mean of n gamma(p, nu) values, nu integrated out numerically over gamma(q, v)."""
        return float(
            mpmath.quad(
                lambda nu: (
                    (n * nu) ** (n * p)
                    * mean ** (n * p - 1)
                    * mpmath.exp(-n * nu * mean)
                    / mpmath.gamma(n * p)
                    * v**q
                    * nu ** (q - 1)
                    * mpmath.exp(-v * nu)
                    / mpmath.gamma(q)
                ),
                mpmath.linspace(0, 4 * (p * n + q) / (mean * n + v), 9),
            )
        )

    log_likelihood = sum(
        count * np.log(density(n, mean)) for n, mean, count in zip(x, m, counts, strict=True)
    )
    value, gradient = objective(np.array(point))
    assert value == pytest.approx(-log_likelihood / 11 + 0.02 * sum(c**2 for c in point), rel=1e-3)
    numeric = approx_fprime(np.array(point), lambda c: objective(c)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-4)


def test_equal_order_values_are_reported() -> None:
    model = fit_gamma_gamma(np.array([1, 2, 3, 0]), np.array([5.0, 5.0, 5.0, 0.0]))
    assert not model.report.converged and "bound" in model.report.message
    assert expected_order_value(model, np.array([0]), np.array([0.0])) == pytest.approx(
        5.0, rel=1e-3
    )


def test_refuses_negative_values_and_no_repeats() -> None:
    with pytest.raises(
        ValueError, match="mean_value must be finite and at least 0, but it is -3.0 in row 1"
    ):
        fit_gamma_gamma(np.array([1, 2]), np.array([3.0, -3.0]))
    with pytest.raises(ValueError, match="none of 2 customers paid anything"):
        fit_gamma_gamma(np.array([0, 2]), np.array([0.0, 0.0]))


def test_leaves_free_orders_out() -> None:
    x, m = np.array([1, 2, 3, 5, 1]), np.array([5.0, 9.0, 4.0, 6.0, 30.0])
    assert fit_gamma_gamma(np.append(x, [0, 4]), np.append(m, [0.0, 0.0])) == fit_gamma_gamma(x, m)


def test_expected_order_value_lies_between_own_and_common_mean() -> None:
    model = GammaGamma(6.25, 3.74, 15.44, REPORT)
    values = expected_order_value(model, np.array([0, 1, 1000]), np.array([0.0, 90.0, 90.0]))
    assert values[0] == pytest.approx(6.25 * 15.44 / 2.74)
    assert values[1] == pytest.approx(6.25 * (15.44 + 90.0) / (6.25 + 2.74))
    assert values[2] == pytest.approx(90.0, rel=0.01)
