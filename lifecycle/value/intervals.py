"""Intervals of what customers will spend: quantiles of their outcomes, calibrated on customers whose spend is known.

Both parts of the outcomes are mended, apart in groups. The log-odds of spending nothing are shifted
until as many are expected to as did. Of a customer who spent, the conformity score is its rank: the
probability that its outcomes give to no more than that, if anything. Were the outcomes right, ranks
would be uniform. Their distribution function C among those who spent mends the rest: of all spend
above 0 the share p lies below the spend at C^-1(p) (distributional conformal prediction,
Chernozhukov, Wuthrich and Zhu 2021). Groups are segments of expected spend, each of few and of many
order days (Mondrian, Vovk, Gammerman and Shafer 2005, 4.5); the ranks of a group are mixed with
all, who count as PRIOR_CUSTOMERS of it.

What all customers share, a season or a price, the ranks of one window do not show. Where it is known
how far totals were off, every customer counts twice: as more and as less had been expected of all.

An interval of level L leaves (1 - L) / 2 out on both sides. Where customers spend nothing with a
higher probability than that it starts at 0 and all the error is left above.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from lifecycle.decisions.segments import SegmentThresholds, fit_thresholds
from lifecycle.value.outcomes import Outcomes, rank_of_some, spend_of_some

LEVELS = (0.8, 0.95)
FEW_ORDER_DAYS = 2  # up to so many are few
NUM_GROUPS = 8  # of each of the four segments, few and many
PRIOR_CUSTOMERS = 50
LEAST_CHANCE = 1e-6  # of spending nothing, and of spending
MOST_SHIFT = 50.0
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
    shifts: tuple[float, ...]  # of the log-odds of spending nothing, by group

    @cached_property
    def mended(self) -> np.ndarray:
        """C^-1 at PROBABILITIES, (NUM_GROUPS, NUM_STEPS + 1)."""
        return np.array(self.ranks)

    def at(self, group: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """C^-1 of each customer's group at a probability of its own, shape (n,)."""
        place = probability * NUM_STEPS
        before = np.minimum(place.astype(int), NUM_STEPS - 1)
        first, after = self.mended[group, before], self.mended[group, before + 1]
        found: np.ndarray = first + (place - before) * (after - first)
        return found


def fit_intervals(
    outcomes: Outcomes,
    actual: np.ndarray,
    levels: tuple[float, ...] = LEVELS,
    doubt: float = 0.0,
) -> Intervals:
    """Intervals calibrated on customers (n,) whose spend over the same days is known and that the models did not see.

    `doubt` is the standard deviation of the logarithm of what all of them together may be off by.
    Raises ValueError for no customers, negative spend or a level outside (0, 1).
    """
    _check(outcomes.expected, actual, levels)
    offset = OFFSET_SHARE * float(np.mean(outcomes.expected)) or 1.0
    thresholds = fit_thresholds(outcomes.horizon_spend)
    group = _groups(thresholds, outcomes)
    is_silent = actual == 0
    ranks = _ranks(outcomes, actual, offset, doubt)
    knots = np.unique(np.concatenate([[0.0], ranks[:, ~is_silent].ravel(), [1.0]]))
    overall = _distribution(ranks[:, ~is_silent], knots)
    of_all = _shift_of_nothing(outcomes.nothing, is_silent, 0.0)
    found, shifts = [], []
    for number in range(NUM_GROUPS):
        here = group == number
        shifts.append(_shift_of_nothing(outcomes.nothing[here], is_silent[here], of_all))
        own = ranks[:, here & ~is_silent]
        count = own.shape[1]
        mixed = count * _distribution(own, knots) + PRIOR_CUSTOMERS * overall
        mixed /= count + PRIOR_CUSTOMERS
        found.append(tuple(_inverse(mixed, knots).tolist()))
    return Intervals(tuple(sorted(levels)), thresholds, offset, tuple(found), tuple(shifts))


def bounds(intervals: Intervals, outcomes: Outcomes) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """By level, the low and high ends (n,); 0 <= low <= high, and a higher level holds a lower one."""
    group = _groups(intervals.thresholds, outcomes)
    nothing = _mended_nothing(intervals, outcomes, group)
    found = {}
    widest = np.zeros(len(group))
    for level in intervals.levels:
        left_out = (1.0 - level) / 2.0
        starts_at_nothing = nothing >= left_out
        high = np.where(starts_at_nothing, level, level + left_out)
        low, high = (
            intervals.at(group, _share_of_some(chance, nothing))
            for chance in (np.where(starts_at_nothing, 0.0, left_out), high)
        )
        widest = np.maximum(widest, high)
        found[level] = (
            spend_of_some(outcomes, low, intervals.offset),
            spend_of_some(outcomes, widest, intervals.offset),
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
    nothing = _mended_nothing(intervals, outcomes, group)
    ranks = rank_of_some(outcomes, actual, intervals.offset)
    share = np.empty(len(ranks))
    for number, of_group in enumerate(intervals.ranks):
        here = group == number
        share[here] = np.interp(ranks[here], of_group, PROBABILITIES)
    # A stream of its own: simulated spend may come from the same seed.
    drawn = np.random.default_rng((RANK_STREAM, seed)).uniform(size=len(actual))
    return np.where(actual > 0, nothing + (1.0 - nothing) * share, drawn * nothing)


def constant_bounds(
    known: np.ndarray, known_actual: np.ndarray, predicted: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Split-conformal ends (n,) of one width for everybody, cut at 0: what intervals that adapt must beat."""
    errors = np.sort(np.abs(known_actual - known))
    width = errors[min(math.ceil((len(errors) + 1) * level - 1e-9), len(errors)) - 1]
    return np.maximum(predicted - width, 0.0), predicted + width


def _mended_nothing(intervals: Intervals, outcomes: Outcomes, group: np.ndarray) -> np.ndarray:
    found: np.ndarray = expit(_log_odds(outcomes.nothing) + np.array(intervals.shifts)[group])
    return found


def _share_of_some(chance: np.ndarray, nothing: np.ndarray) -> np.ndarray:
    """Of all spend above 0 the share below what is exceeded with probability 1 - `chance`."""
    found: np.ndarray = np.maximum((chance - nothing) / np.maximum(1.0 - nothing, ROUNDING), 0.0)
    return found


def _shift_of_nothing(nothing: np.ndarray, is_silent: np.ndarray, prior: float) -> float:
    """What is added to the log-odds of spending nothing, so that as many are expected to as did; near `prior`.

    The most probable shift where it is normal around `prior`, with a deviation of 1.
    """
    odds, num_silent = _log_odds(nothing), int(is_silent.sum())

    def left(shift: float) -> float:
        return num_silent - float(expit(odds + shift).sum()) - (shift - prior)

    return float(brentq(left, -MOST_SHIFT, MOST_SHIFT))


def _log_odds(chance: np.ndarray) -> np.ndarray:
    found: np.ndarray = logit(np.clip(chance, LEAST_CHANCE, 1.0 - LEAST_CHANCE))
    return found


def _ranks(outcomes: Outcomes, actual: np.ndarray, offset: float, doubt: float) -> np.ndarray:
    """Ranks (times, n) of customers: once, or where there is doubt as more and as less had been expected."""
    factors = (math.exp(-doubt), math.exp(doubt)) if doubt else (1.0,)
    expected = [replace(outcomes, expected=factor * outcomes.expected) for factor in factors]
    return np.stack([rank_of_some(one, actual, offset) for one in expected])


def _distribution(ranks: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """C at `knots`: the share of ranks (times, n) up to each, where one more customer has a rank of 1."""
    times, count = ranks.shape
    upto = np.searchsorted(np.sort(ranks.ravel()), knots, side="right") / (times * (count + 1))
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
