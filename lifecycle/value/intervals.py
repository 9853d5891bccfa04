"""Intervals of what customers will spend: quantiles of their outcomes, calibrated on customers whose spend is known.

The conformity score of a customer is its rank: the probability that its outcomes give to no more
than what it spent, drawn evenly below that of nothing where it spent nothing. Were the outcomes
right, ranks would be uniform. Their distribution function C among the customers of a group mends
the outcomes: what is exceeded with probability 1 - p is the spend at C^-1(p) (distributional
conformal prediction, Chernozhukov, Wuthrich and Zhu 2021). Groups are segments of expected spend,
each of few and of many order days (Mondrian, Vovk, Gammerman and Shafer 2005, 4.5); a group of n
customers is mixed with all, who count as PRIOR_CUSTOMERS of it.

An interval of level L leaves (1 - L) / 2 out on both sides. Where customers spend nothing with a
higher probability than that it starts at 0 and all the error is left above.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lifecycle.decisions.segments import SegmentThresholds, fit_thresholds
from lifecycle.value.outcomes import Outcomes, chance_up_to, spend_at

LEVELS = (0.8, 0.95)
FEW_ORDER_DAYS = 2  # up to so many are few
NUM_GROUPS = 8  # of each of the four segments, few and many
PRIOR_CUSTOMERS = 50
NUM_STEPS = 40  # of the probabilities at which C^-1 is kept; 0.025 and 0.1 are among them
PROBABILITIES = np.arange(NUM_STEPS + 1) / NUM_STEPS
ROUNDING = 1e-9
RANK_STREAM = 20_190_609
OFFSET_SHARE = 0.05  # of the mean prediction, so that ranks near a prediction of 0 differ


@dataclass(frozen=True)
class Intervals:
    """C^-1 at PROBABILITIES of each group, and what tells groups apart."""

    levels: tuple[float, ...]
    thresholds: SegmentThresholds  # of the spend expected over the trained horizon
    offset: float
    ranks: tuple[tuple[float, ...], ...]

    @cached_property
    def ends(self) -> dict[float, list[np.ndarray]]:
        """By level, C^-1 of each group, (NUM_GROUPS,): at the share left out below, at the level, at both together."""
        return {
            level: [
                self._at(probability) for probability in ((1 - level) / 2, level, (1 + level) / 2)
            ]
            for level in self.levels
        }

    def _at(self, probability: float) -> np.ndarray:
        return np.array([np.interp(probability, PROBABILITIES, ranks) for ranks in self.ranks])


def fit_intervals(
    outcomes: Outcomes,
    actual: np.ndarray,
    levels: tuple[float, ...] = LEVELS,
    *,
    seed: int,
) -> Intervals:
    """Intervals calibrated on customers (n,) whose spend over the same days is known and that the models did not see.

    Raises ValueError for no customers, negative spend or a level outside (0, 1).
    """
    _check(outcomes.expected, actual, levels)
    offset = OFFSET_SHARE * float(np.mean(outcomes.expected)) or 1.0
    thresholds = fit_thresholds(outcomes.horizon_spend)
    group = _groups(thresholds, outcomes)
    ranks = _ranks(outcomes, actual, offset, seed)
    knots = np.unique(np.concatenate([[0.0], ranks, [1.0]]))
    overall = _distribution(ranks, knots)
    found = []
    for number in range(NUM_GROUPS):
        own = ranks[group == number]
        mixed = len(own) * _distribution(own, knots) + PRIOR_CUSTOMERS * overall
        mixed /= len(own) + PRIOR_CUSTOMERS
        found.append(tuple(_inverse(mixed, knots).tolist()))
    return Intervals(tuple(sorted(levels)), thresholds, offset, tuple(found))


def bounds(intervals: Intervals, outcomes: Outcomes) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """By level, the low and high ends (n,); 0 <= low <= high, and a higher level holds a lower one."""
    group = _groups(intervals.thresholds, outcomes)
    found = {}
    widest = np.zeros(len(group))
    for level in intervals.levels:
        low, whole, high = (end[group] for end in intervals.ends[level])
        starts_at_nothing = outcomes.nothing >= low
        low = np.where(starts_at_nothing, 0.0, low)
        widest = np.maximum(widest, np.where(starts_at_nothing, whole, high))
        found[level] = (
            spend_at(outcomes, low, intervals.offset),
            spend_at(outcomes, widest, intervals.offset),
        )
    return found


def predictive_ranks(
    intervals: Intervals, outcomes: Outcomes, actual: np.ndarray, *, seed: int
) -> np.ndarray:
    """Where each actual spend falls in the distribution that the intervals come from, 0 to 1, shape (n,).

    This is the randomised probability integral transform: uniform where the distribution is right,
    also where many spend nothing, whom a closed interval covers too often.
    """
    group = _groups(intervals.thresholds, outcomes)
    ranks = _ranks(outcomes, actual, intervals.offset, seed)
    mended = np.empty(len(ranks))
    for number, of_group in enumerate(intervals.ranks):
        here = group == number
        mended[here] = np.interp(ranks[here], of_group, PROBABILITIES)
    return mended


def constant_bounds(
    known: np.ndarray, known_actual: np.ndarray, predicted: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Split-conformal ends (n,) of one width for everybody, cut at 0: what intervals that adapt must beat."""
    errors = np.sort(np.abs(known_actual - known))
    width = errors[min(math.ceil((len(errors) + 1) * level - 1e-9), len(errors)) - 1]
    return np.maximum(predicted - width, 0.0), predicted + width


def _ranks(outcomes: Outcomes, actual: np.ndarray, offset: float, seed: int) -> np.ndarray:
    below, upto = chance_up_to(outcomes, actual, offset)
    # A stream of its own: simulated spend may come from the same seed.
    drawn = np.random.default_rng((RANK_STREAM, seed)).uniform(size=len(actual))
    ranks: np.ndarray = below + drawn * (upto - below)
    return ranks


def _distribution(ranks: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """C at `knots`: the share of ranks up to each, where one more customer has a rank of 1."""
    upto = np.searchsorted(np.sort(ranks), knots, side="right") / (len(ranks) + 1)
    return np.where(knots < 1.0, upto, 1.0)


def _inverse(distribution: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """C^-1 at PROBABILITIES: the first of the knots where C is as high; above the highest rank the line to 1."""
    place = np.searchsorted(distribution, PROBABILITIES - ROUNDING)
    first = knots[np.minimum(place, len(knots) - 1)]
    line = np.interp(PROBABILITIES, distribution, knots)
    return np.where(first < 1.0, first, line)


def _groups(thresholds: SegmentThresholds, outcomes: Outcomes) -> np.ndarray:
    """The number of each customer's group, shape (n,)."""
    edges = np.array([thresholds.middle, thresholds.high, thresholds.top])
    segment = np.searchsorted(edges, outcomes.horizon_spend, side="left")
    numbers: np.ndarray = 2 * segment + (outcomes.num_order_days > FEW_ORDER_DAYS)
    return numbers


def _check(predicted: np.ndarray, actual: np.ndarray, levels: tuple[float, ...]) -> None:
    if len(predicted) == 0 or len(predicted) != len(actual):
        raise ValueError(
            f"{len(predicted)} predictions and {len(actual)} actual values; intervals need equal, some"
        )
    for name, values in (("predicted", predicted), ("actual", actual)):
        if not (values >= 0).all() or not np.isfinite(values).all():
            raise ValueError(
                f"{name} holds {values[~(values >= 0) | ~np.isfinite(values)][0]}; spend is at least 0"
            )
    if not levels or not all(0.0 < level < 1.0 for level in levels):
        raise ValueError(f"levels are {levels}; each must lie between 0 and 1")
