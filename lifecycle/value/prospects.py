"""People the shop knows but who have not bought yet: how many buy within the horizon, and what they spend.

Three groups have rates of their own: those who began a trial in the last RECENT_DAYS, those in touch
with the shop in that time, and the silent, who cancelled among them. A group's rate is shrunk to
that of all together, which counts as much as PRIOR_CUSTOMERS of the group. Most trials end on a day
that the shop has fixed, and who has not paid by then hardly ever will: those in trial are told apart
by its age, each age's rate shrunk to that of all in trial.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lifecycle.features.numbers import CONTACT_KINDS, RECENT_DAYS
from lifecycle.value.intervals import LEVELS, Intervals, bounds, fit_intervals
from lifecycle.value.outcomes import UNKNOWN_VARIANCE, Outcomes
from lifecycle.value.standing import numbers

SILENT = 0
IN_TOUCH = 1
IN_TRIAL = 2  # its youngest age, which the others follow
TRIAL_AGES = (8.0, 15.0, 32.0)  # where ages end: a week, a fortnight, a month, and a day to pay
CONTACTS = tuple(f"{kind}_{RECENT_DAYS}d" for kind in CONTACT_KINDS)
PRIOR_CUSTOMERS = 50
PRIOR_OF_AGE = 20
LEAST_CONVERSION = 1e-6
Bounds = dict[float, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ProspectRates:
    """Of the groups, in the order SILENT, IN_TOUCH and IN_TRIAL by age, over one horizon."""

    conversion: tuple[float, ...]  # share that buys
    spend: tuple[float, ...]  # mean of all of them, in currency
    order_value: float
    log_variance: float  # of the logarithm of what those spend who spend
    intervals: Intervals


def fit_prospects(rows: pl.DataFrame, *, seed: int) -> ProspectRates | None:
    """Rates from prospects at past cutoffs, with the columns of the examples; None where the shop had none."""
    if rows.is_empty():
        return None
    group = _group(rows)
    spend = rows["target"].to_numpy().astype(float)
    orders = rows["num_orders_ahead"].to_numpy()
    mean_spend = _shrunk_means(group, spend)
    conversion = _shrunk_means(group, orders > 0)
    log_variance = _log_variance(spend)
    outcomes = _outcomes(np.array(mean_spend)[group], np.array(conversion)[group], log_variance)
    return ProspectRates(
        conversion=conversion,
        spend=mean_spend,
        # Finite orders where nobody paid.
        order_value=max(float(spend.sum()) / max(int(orders.sum()), 1), 0.01),
        log_variance=log_variance,
        intervals=fit_intervals(outcomes, spend),
    )


def prospect_conversion(rates: ProspectRates | None, examples: pl.DataFrame) -> np.ndarray:
    """Probability of a purchase within the horizon, shape (n,); 0 where the shop has never had prospects."""
    return np.zeros(examples.height) if rates is None else _of_each(rates.conversion, examples)


def prospect_spend(rates: ProspectRates | None, examples: pl.DataFrame) -> np.ndarray:
    """Expected spend over the horizon, shape (n,)."""
    return np.zeros(examples.height) if rates is None else _of_each(rates.spend, examples)


def prospect_bounds(
    rates: ProspectRates | None, examples: pl.DataFrame, num_horizons: float
) -> Bounds:
    """The ends of the spend over a number of horizons, by level, arrays (n,).

    Prospects are taken to buy in each horizon with the same probability c, whatever they did in
    others: the mean square of what they spend in k horizons over its squared mean is (1 + v) / (k c)
    + (k - 1) / k, where v is that of those who spend in one horizon, less 1.
    """
    if rates is None:
        nothing = np.zeros(examples.height)
        return dict.fromkeys(LEVELS, (nothing, nothing))
    spend = prospect_spend(rates, examples)
    buying = np.maximum(prospect_conversion(rates, examples), LEAST_CONVERSION)
    within = _outcomes(spend, buying, rates.log_variance)
    nothing = within.nothing**num_horizons
    square = (np.exp(rates.log_variance) / buying + num_horizons - 1.0) / num_horizons
    over = replace(
        within,
        expected=spend * num_horizons,
        nothing=nothing,
        log_variance=np.log(np.maximum((1.0 - nothing) * square, 1.0 + LEAST_CONVERSION)),
    )
    return bounds(rates.intervals, over)


def _outcomes(spend: np.ndarray, conversion: np.ndarray, log_variance: float) -> Outcomes:
    """Over the horizon, of prospects who are expected to spend and to buy so much."""
    return Outcomes(
        expected=spend,
        nothing=1.0 - conversion,
        log_variance=np.full(len(spend), log_variance),
        horizon_spend=spend,
        num_order_days=np.zeros(len(spend)),
    )


def _log_variance(spend: np.ndarray) -> float:
    """Of what those spent who did; of one of them nothing is known."""
    some = np.log(spend[spend > 0])
    return float(some.var()) if len(some) > 1 and some.var() > 0 else UNKNOWN_VARIANCE


def _group(rows: pl.DataFrame) -> np.ndarray:
    """The group of each, shape (n,). Who cancelled, or got money back for what we do not know, is silent."""
    in_touch = pl.any_horizontal(pl.col(name).fill_null(0) > 0 for name in CONTACTS)
    has_left = ~np.isnan(numbers(rows, "cancelled_days")) | has_bought_before(rows)
    days = numbers(rows, "trial_days")
    age = IN_TRIAL + np.searchsorted(TRIAL_AGES, days)
    is_in_touch = rows.select(in_touch).to_series().to_numpy()
    return np.select([has_left, days <= RECENT_DAYS, is_in_touch], [SILENT, age, IN_TOUCH], SILENT)


def _of_each(rates: tuple[float, ...], rows: pl.DataFrame) -> np.ndarray:
    """The rate of each one's group, shape (n,)."""
    found: np.ndarray = np.array(rates)[_group(rows)]
    return found


def has_bought_before(rows: pl.DataFrame) -> np.ndarray:
    """Who is known by refunds, and not by what these took back: it was bought before the data begin, shape (n,)."""
    found: np.ndarray = (rows["num_orders"].to_numpy() == 0) & (
        rows["total_refunded"].to_numpy() > 0
    )
    return found


def _shrunk_means(group: np.ndarray, values: np.ndarray) -> tuple[float, ...]:
    overall = float(values.mean())
    silent, in_touch, in_trial = (
        _shrunk(values[mask], overall, PRIOR_CUSTOMERS)
        for mask in (group == SILENT, group == IN_TOUCH, group >= IN_TRIAL)
    )
    ages = range(IN_TRIAL, IN_TRIAL + len(TRIAL_AGES) + 1)
    by_age = (_shrunk(values[group == age], in_trial, PRIOR_OF_AGE) for age in ages)
    return (silent, in_touch, *by_age)


def _shrunk(values: np.ndarray, to: float, prior: int) -> float:
    return (float(values.sum()) + prior * to) / (len(values) + prior)
