"""How likely plans are renewed: the shifted beta-geometric model (Fader and Hardie 2007).

Customers differ in the chance with which they leave at each renewal, beta distributed over them, so
that of those who have paid k times a share (b + k - 1) / (a + b + k - 1) pays again.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

PRIOR_PAYMENTS = 20.0  # first payments that the prior counts for
BOUNDS = ((-5.0, 7.0), (-5.0, 7.0))  # of the logarithms of a and b


@dataclass(frozen=True)
class Renewal:
    """Of the plans of one length: the distribution of leaving chances."""

    a: float
    b: float
    num_payments: int  # that it was learned from

    def renewed(self, num_payments: np.ndarray) -> np.ndarray:
        """The share of those who have paid `num_payments` times that pays again."""
        earlier = np.maximum(num_payments, 1.0) - 1.0
        share: np.ndarray = (self.b + earlier) / (self.a + self.b + earlier)
        return share


UNKNOWN = Renewal(a=1.0, b=4.0, num_payments=0)  # no data: four of five first payments are renewed


def fit_renewal(num_payments: np.ndarray, due: np.ndarray, renewed: np.ndarray) -> Renewal:
    """The likeliest distribution, with PRIOR_PAYMENTS first payments as UNKNOWN tells of them.

    Of `due` customers who had paid `num_payments` times `renewed` paid again; all have shape (k,).
    """
    number = np.append(num_payments, 1.0)
    stayed = np.append(renewed, PRIOR_PAYMENTS * float(UNKNOWN.renewed(np.ones(1))[0]))
    left = np.append(due, PRIOR_PAYMENTS) - stayed

    def unlikelihood(logarithms: np.ndarray) -> float:
        a, b = np.exp(logarithms)
        share = Renewal(a, b, 0).renewed(number)
        return -float(stayed @ np.log(share) + left @ np.log1p(-share))

    found = minimize(unlikelihood, np.log([UNKNOWN.a, UNKNOWN.b]), method="L-BFGS-B", bounds=BOUNDS)
    a, b = np.exp(found.x)
    return Renewal(float(a), float(b), int(due.sum()))
