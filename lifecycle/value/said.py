"""Customers whose standing decides: their spend, periods, survival and churn from one set of payments.

| | cancelled, paused, overdue | paid |
|---|---|---|
| 1 - churn | share of such customers that bought within a horizon | chance of the next renewal, whenever due |
| p_active | the same | 1 until then |
| spend | what those who bought spent, evenly over periods | payments on their due days |
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lifecycle.features.numbers import RECENT_DAYS
from lifecycle.features.standing import PAID
from lifecycle.value.clv import Behaviour
from lifecycle.value.formula import ClvSettings
from lifecycle.value.prospects import Bounds
from lifecycle.value.standing import (
    MIN_VALUE,
    SINCE,
    Standings,
    numbers,
    own_order_value,
    renewal_shares,
    standing_of,
)


@dataclass(frozen=True)
class Payments:
    """Payments of m customers to come, at most J of each: when, how likely all up to each are made, how large."""

    days: np.ndarray  # (m, J) from the cutoff, ascending
    chance: np.ndarray  # (m, J): that this one and all before it are paid
    amount: np.ndarray  # (m,): of each payment
    ratio: float  # of what is paid to what the plan says
    active: np.ndarray  # (m,): probability of being a customer now

    def number(self, day: float) -> np.ndarray:
        """Expected payments before a day, shape (m,)."""
        counted = np.where(self.days < day, self.chance, 0.0)
        # One after another: a sum's bits depend on how many zeros follow, and so on other customers.
        total: np.ndarray = np.cumsum(counted, axis=1)[:, -1]
        return total

    def spend(self, day: float) -> np.ndarray:
        """Expected spend before a day, shape (m,)."""
        total: np.ndarray = self.ratio * self.amount * self.number(day)
        return total

    def staying(self, day: float) -> np.ndarray:
        """Probability of being a customer still on a day: all that was due was paid, shape (m,)."""
        due = np.where(self.days <= day, self.chance, 1.0)
        staying: np.ndarray = np.minimum(due.min(axis=1), self.active)
        return staying

    def at_least(self, day: float, probability: float) -> np.ndarray:
        """How many payments before a day are made with more than this probability, shape (m,)."""
        number: np.ndarray = ((self.days < day) & (self.chance > probability)).sum(axis=1)
        return number


def heeded_spend(
    rules: Standings, examples: pl.DataFrame, total: np.ndarray, horizon_days: int
) -> np.ndarray:
    """Expected spend over the horizon, (n,): where a standing decides by it, of all others what a model says."""
    result = np.array(total, dtype=float)
    standing = standing_of(examples)
    for name in SINCE:
        here = np.flatnonzero(standing == name)
        if len(here):
            share, spend = _returning(rules, examples[here], name)
            result[here] = share * spend
    here = np.flatnonzero(standing == PAID)
    if len(here):
        payments = plan_payments_ahead(rules, examples[here], horizon_days)
        result[here] = payments.spend(horizon_days)
    return result


@dataclass(frozen=True)
class Outlook:
    """What is expected of n customers: spend over what the shares of `behaviour` count from, and its ends by level."""

    total: np.ndarray
    bounds: Bounds
    behaviour: Behaviour


def heeded_outlook(
    rules: Standings,
    examples: pl.DataFrame,
    outlook: Outlook,
    settings: ClvSettings,
    horizon_days: int,
) -> Outlook:
    """The outlook of models, and where a standing decides what follows from it.

    Bounds are of all periods, and so are totals of plans: a year's payment may fall beyond the horizon.
    """
    standing = standing_of(examples)
    if not (standing != "").any():
        return outlook
    for name in SINCE:
        here = np.flatnonzero(standing == name)
        if len(here):
            part = _returning_outlook(rules, examples[here], name, outlook, settings, horizon_days)
            outlook = _replaced(outlook, here, part)
    here = np.flatnonzero(standing == PAID)
    if len(here):
        part = _plan_outlook(rules, examples[here], outlook, settings)
        outlook = _replaced(outlook, here, part)
    return outlook


def plan_payments_ahead(rules: Standings, examples: pl.DataFrame, days: float) -> Payments:
    """The payments of customers with a paid plan, at least one and all that are due within some days.

    Who leaves a plan and says so may do it on any day before the next payment: the longer nothing
    was said, the likelier the renewal.
    """
    length = numbers(examples, "plan_days")
    left = np.maximum(numbers(examples, "plan_days_left"), 0.0)
    paid = numbers(examples, "num_plan_payments")
    most = 1 + int(np.ceil(np.max((days - left) / length, initial=0.0)))
    due = left[:, None] + length[:, None] * np.arange(most)
    share = np.stack(
        [renewal_shares(rules.renewals, length, paid + number) for number in range(most)], axis=1
    )
    elapsed = np.clip(1.0 - left / length, 0.0, 1.0)
    leaving = 1.0 - share[:, 0]
    quiet = rules.announced * elapsed
    share[:, 0] = 1.0 - leaving * (1.0 - quiet) / (1.0 - leaving * quiet)
    return Payments(
        days=due,
        chance=np.cumprod(share, axis=1),
        amount=numbers(examples, "plan_amount"),
        ratio=rules.paid_ratio,
        active=np.where(left > 0.0, 1.0, share[:, 0]),
    )


def _returning(
    rules: Standings, examples: pl.DataFrame, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Who buys within the horizon, and what who does spends, both (m,)."""
    returns = rules.returns[name]
    is_recent = (numbers(examples, SINCE[name]) <= RECENT_DAYS).astype(int)
    return np.array(returns.share)[is_recent], returns.orders * own_order_value(examples)


def _returning_outlook(
    rules: Standings,
    examples: pl.DataFrame,
    name: str,
    outlook: Outlook,
    settings: ClvSettings,
    horizon_days: int,
) -> Outlook:
    """Somebody comes back with some probability and spends what such customers do, or does not.

    That is spread evenly. Who comes back to a plan that is longer than the horizon pays once: later
    periods have the share of those who left long ago. High ends hold a plan that is taken up again.
    """
    share, spend = _returning(rules, examples, name)
    total = share * spend
    size = examples.height, settings.num_periods
    is_later = settings.period_days * np.arange(1, settings.num_periods + 1) > horizon_days
    is_long = numbers(examples, "plan_days") > horizon_days
    fades = np.where(is_long, rules.returns[name].share[0] / share, 1.0)
    shares = settings.period_days / horizon_days * np.where(is_later, fades[:, None], 1.0)
    horizons = shares.sum(axis=1)
    again = _plan_again(rules, examples, share, horizon_days, settings.days)
    ends = {}
    for level in outlook.bounds:
        tail = (1.0 - level) / 2.0
        comes = np.where(share > 1.0 - tail, spend, 0.0), np.where(share > tail, spend, 0.0)
        high = np.maximum(comes[1] * horizons, again.amount * again.at_least(settings.days, tail))
        ends[level] = (comes[0] * horizons, high)
    behaviour = Behaviour(
        active=share,
        survival=np.broadcast_to(share[:, None], size),
        churn=1.0 - share,
        order_value=own_order_value(examples),
        shares=shares,
    )
    return Outlook(total, ends, behaviour)


def _plan_again(
    rules: Standings, examples: pl.DataFrame, share: np.ndarray, horizon_days: int, last: float
) -> Payments:
    """Payments up to a day of who comes back halfway through the horizon; of nothing where no plan was paid."""
    none = {"plan_days": last, "plan_amount": 0.0, "num_plan_payments": 1.0}
    told = {name: np.nan_to_num(numbers(examples, name), nan=of) for name, of in none.items()}
    back = examples.with_columns(
        *(pl.Series(name, of) for name, of in told.items()),
        plan_days_left=pl.lit(horizon_days / 2.0),
    )
    payments = plan_payments_ahead(rules, back, last)
    return replace(payments, chance=share[:, None] * payments.chance / payments.chance[:, :1])


def _plan_outlook(
    rules: Standings, examples: pl.DataFrame, outlook: Outlook, settings: ClvSettings
) -> Outlook:
    """Payments on their due days, each as likely as all before it and the next renewal."""
    edges = settings.period_days * np.arange(settings.num_periods + 1)
    last = float(edges[-1])
    payments = plan_payments_ahead(rules, examples, last)
    upto = np.stack([payments.number(float(edge)) for edge in edges], axis=1)
    within = upto[:, -1:]
    even = np.full((examples.height, settings.num_periods), 1.0 / settings.num_periods)
    total = payments.spend(last)
    ends = {}
    for level in outlook.bounds:
        tail = (1.0 - level) / 2.0
        ends[level] = (
            payments.amount * payments.at_least(last, 1.0 - tail),
            payments.amount * payments.at_least(last, tail),
        )
    middles = edges[:-1] + settings.period_days / 2.0
    behaviour = Behaviour(
        active=payments.active,
        survival=np.stack([payments.staying(float(day)) for day in middles], axis=1),
        churn=1.0 - payments.chance[:, 0],
        order_value=np.maximum(payments.amount, MIN_VALUE),
        shares=np.where(within > 0.0, np.diff(upto, axis=1) / np.maximum(within, 1e-12), even),
    )
    return Outlook(total, ends, behaviour)


def _replaced(outlook: Outlook, here: np.ndarray, part: Outlook) -> Outlook:
    """The outlook with that of the customers `here` in its place."""

    def put(values: np.ndarray, new: np.ndarray) -> np.ndarray:
        result = np.array(values, dtype=float)
        result[here] = new
        return result

    ends = {
        level: (put(low, part.bounds[level][0]), put(high, part.bounds[level][1]))
        for level, (low, high) in outlook.bounds.items()
    }
    fields = vars(part.behaviour)
    behaviour = {
        name: put(of_all, fields[name]) for name, of_all in vars(outlook.behaviour).items()
    }
    return Outlook(put(outlook.total, part.total), ends, replace(outlook.behaviour, **behaviour))
