"""What customers may spend over a stretch of days: nothing with a probability, else around an expectation.

Spend is 0 with the probability of buying nothing, else log-normal (a hurdle, Cragg 1971). The
variance of its logarithm is that of the BTYD model that spreads the value: of the number of orders,
which grows with the days ahead as rates and loyalty are uncertain, and of their values. What this
distribution has wrong, `lifecycle.value.intervals` calibrates.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from lifecycle.btyd.model import Btyd, btyd_churn, btyd_log_variance

UNKNOWN_VARIANCE = 1.0  # of the logarithm, where no BTYD model could be fitted
SURE = 1e-12  # the least probability, and the least distance from 1


@dataclass(frozen=True)
class Outcomes:
    """What n customers may spend over some days; arrays (n,), amounts in currency."""

    expected: np.ndarray
    nothing: np.ndarray  # probability of spending nothing
    log_variance: np.ndarray  # of the spend of those who spend
    # What calibration tells customers apart by, whatever the days:
    horizon_spend: np.ndarray  # expected over the trained horizon
    num_order_days: np.ndarray  # before the cutoff


def buyer_outcomes(
    examples: pl.DataFrame,
    btyd: Btyd | None,
    horizon_spend: np.ndarray,
    churn: np.ndarray,
    horizon_days: int,
) -> Outcomes:
    """Of customers who have bought, over the trained horizon, in which they buy nothing with probability `churn`."""
    return Outcomes(
        expected=horizon_spend,
        nothing=churn,
        log_variance=_log_variance(examples, btyd, horizon_days),
        horizon_spend=horizon_spend,
        num_order_days=examples["num_order_days"].to_numpy(),
    )


def outcomes_over(
    examples: pl.DataFrame,
    btyd: Btyd | None,
    horizon_spend: np.ndarray,
    churn: np.ndarray,
    horizon_days: int,
    *,
    expected: np.ndarray,
    days: float,
) -> Outcomes:
    """Of the same customers over other `days`, in which they are expected to spend `expected`."""
    return Outcomes(
        expected=expected,
        nothing=_nothing_over(examples, btyd, churn, horizon_days, days),
        log_variance=_log_variance(examples, btyd, days),
        horizon_spend=horizon_spend,
        num_order_days=examples["num_order_days"].to_numpy(),
    )


def rank_of_some(outcomes: Outcomes, spend: np.ndarray, offset: float) -> np.ndarray:
    """The probability (n,) that who spends anything spends as much as `spend` (n,) at most.

    `offset` is added to what those are expected to spend who spend.
    """
    centre, deviation = _positive_part(outcomes, offset)
    logarithm = np.log(np.maximum(spend, np.finfo(float).tiny))
    found: np.ndarray = ndtr((logarithm - centre) / deviation)
    return found


def spend_of_some(outcomes: Outcomes, rank: np.ndarray, offset: float) -> np.ndarray:
    """The spend (n,) of that rank (n,); 0 at a rank of 0."""
    centre, deviation = _positive_part(outcomes, offset)
    spend = np.exp(centre + deviation * ndtri(np.clip(rank, SURE, 1.0 - SURE)))
    return np.where(rank > 0, spend, 0.0)


def _positive_part(outcomes: Outcomes, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the logarithm of what those spend who spend."""
    mean = outcomes.expected / np.maximum(1.0 - outcomes.nothing, SURE) + offset
    return np.log(mean) - outcomes.log_variance / 2.0, np.sqrt(outcomes.log_variance)


def _log_variance(examples: pl.DataFrame, btyd: Btyd | None, days: float) -> np.ndarray:
    if btyd is None:
        return np.full(examples.height, UNKNOWN_VARIANCE)
    return btyd_log_variance(btyd, examples, days)


def _nothing_over(
    examples: pl.DataFrame, btyd: Btyd | None, churn: np.ndarray, horizon_days: int, days: float
) -> np.ndarray:
    """Probability of buying nothing over `days`, of customers who buy nothing within the horizon with that of `churn`.

    As much less, and the probability of buying as much more, as BTYD says; of the two the higher
    probability, since the one knows of no silence and the other of nobody who has left. Without
    BTYD customers buy and leave alike at all times.
    """
    if btyd is None:
        return churn ** (days / horizon_days)
    within = btyd_churn(btyd, examples, horizon_days)
    over = btyd_churn(btyd, examples, days)
    silent = churn * over / np.maximum(within, SURE)
    left = 1.0 - (1.0 - churn) * np.maximum(1.0 - over, SURE) / np.maximum(1.0 - within, SURE)
    nothing: np.ndarray = np.clip(np.maximum(silent, left), 0.0, 1.0)
    return nothing
