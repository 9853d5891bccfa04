"""Who said or paid something that decides more than habits do, and what such customers went on to do.

| standing | who | what is expected |
|---|---|---|
| cancelled | a cancellation that nothing took back | what the shop's cancelled customers did |
| paused | a pause that has not ended | likewise |
| paid | a plan whose next payment is due, or late by no more than its grace | payments on their due days |
| overdue | a plan whose payment is later than that, and nothing bought since | what such customers did |

The first that applies; of all others models alone tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import Field

from lifecycle.btyd.contracts import UNKNOWN, Renewal, fit_renewal
from lifecycle.config import Config
from lifecycle.features.numbers import RECENT_DAYS
from lifecycle.features.standing import CANCELLED, OVERDUE, PAID, PAUSED

SINCE = {CANCELLED: "cancelled_days", PAUSED: "paused_days", OVERDUE: "plan_paid_days"}
# Who has none of them has no standing.
DECIDING = ("cancelled_days", "paused_days", "plan_days_left")
GRACE_SHARE = 0.1  # of a plan's length; months have 28 to 31 days
MIN_GRACE_DAYS = 3.0
MONTH_DAYS = 30.0
DEFAULT_DAYS = 90.0
PRIOR_CUSTOMERS = 20.0  # that a default counts for
PRIOR_RETURNS = 5.0  # who spend one order value of their own
MIN_VALUE = 0.01  # of an order, so that expected orders stay finite


class ReturnDefaults(Config):
    """Shares of customers who buy again within DEFAULT_DAYS, where the shop's data tell of none such."""

    cancelled: float = Field(0.05, ge=0, lt=1)
    paused: float = Field(0.5, ge=0, lt=1)
    overdue: float = Field(0.2, ge=0, lt=1)


@dataclass(frozen=True)
class Returns:
    """What customers of one standing do within the horizon."""

    share: tuple[float, float]  # that buys: whose standing began before RECENT_DAYS, and since
    orders: float  # what those spend who buy, in order values of their own
    num_rows: int  # that it was learned from


@dataclass(frozen=True)
class Standings:
    """All that the rules of this table compute with."""

    returns: dict[str, Returns]  # by CANCELLED, PAUSED and OVERDUE
    renewals: dict[int, Renewal]  # by `plan_class`; of others UNKNOWN is told
    announced: float  # share of those who leave a plan that cancels it before
    paid_ratio: float  # what was paid over what plans say: pauses and other prices make them differ


def numbers(examples: pl.DataFrame, column: str) -> np.ndarray:
    """A column of STANDING, (n,), NaN where it is null; all NaN of examples that only models read."""
    if column not in examples.columns:
        return np.full(examples.height, np.nan)
    values = examples[column].to_numpy()
    return values.astype(np.float64, copy=False)


def standing_of(examples: pl.DataFrame) -> np.ndarray:
    """CANCELLED, PAUSED, PAID, OVERDUE or nothing of each customer, strings of shape (n,)."""
    deciding = [name for name in DECIDING if name in examples.columns]
    if all(examples[name].null_count() == examples.height for name in deciding):
        return np.full(examples.height, "")  # as in most shops
    late = -numbers(examples, "plan_days_left")
    grace = grace_days(numbers(examples, "plan_days"))
    bought_since = examples["recency_days"].to_numpy() < numbers(examples, "plan_paid_days") - 1e-6
    found = {
        CANCELLED: ~np.isnan(numbers(examples, "cancelled_days")),
        PAUSED: ~np.isnan(numbers(examples, "paused_days")),
        PAID: late <= grace,
        OVERDUE: (late > grace) & ~bought_since,
    }
    return np.select(list(found.values()), list(found), default="")


def grace_days(plan_days: np.ndarray) -> np.ndarray:
    """By how much a payment may be late before it counts as left out, shape (n,)."""
    grace: np.ndarray = np.maximum(GRACE_SHARE * plan_days, MIN_GRACE_DAYS)
    return grace


def plan_class(plan_days: np.ndarray) -> np.ndarray:
    """Plans of about the same length, whole numbers (n,): 0 months, 4 years; each is twice as long as the one below."""
    doublings: np.ndarray = np.round(np.log2(plan_days / MONTH_DAYS)).astype(int)
    return doublings


def own_order_value(examples: pl.DataFrame) -> np.ndarray:
    """Mean value of each customer's order days, shape (n,)."""
    mean = examples["total_spend"] / examples["num_order_days"].clip(1)
    value: np.ndarray = np.maximum(mean.to_numpy(), MIN_VALUE)
    return value


def fit_returns(
    rows: pl.DataFrame, defaults: ReturnDefaults, horizon_days: int
) -> dict[str, Returns]:
    """From customers at past cutoffs, with the columns of the examples: by standing what they did within the horizon.

    A share is shrunk to the default, which counts as much as PRIOR_CUSTOMERS; the shares of early
    and late days are shrunk to both together in the same way.
    """
    standing = standing_of(rows)
    return {
        name: _fit_one(rows.filter(standing == name), since, getattr(defaults, name), horizon_days)
        for name, since in SINCE.items()
    }


def _fit_one(rows: pl.DataFrame, since: str, default: float, horizon_days: int) -> Returns:
    bought = rows["num_orders_ahead"].to_numpy() > 0
    is_recent = numbers(rows, since) <= RECENT_DAYS
    prior = 1.0 - (1.0 - default) ** (horizon_days / DEFAULT_DAYS)
    together = _shrunk(bought, prior)
    value = own_order_value(rows)[bought]
    spent = rows["target"].to_numpy()[bought]
    usual = PRIOR_RETURNS * (float(value.mean()) if len(value) else 1.0)
    return Returns(
        share=(_shrunk(bought[~is_recent], together), _shrunk(bought[is_recent], together)),
        orders=(float(spent.sum()) + usual) / (float(value.sum()) + usual),
        num_rows=rows.height,
    )


def _shrunk(bought: np.ndarray, prior: float) -> float:
    return float((bought.sum() + PRIOR_CUSTOMERS * prior) / (len(bought) + PRIOR_CUSTOMERS))


def fit_renewals(counts: pl.DataFrame) -> dict[int, Renewal]:
    """From what payments led to, a row per plan_class and number: how many were due, and renewed."""
    renewals = {}
    for (name,), rows in counts.sort("plan_class", "number").group_by("plan_class"):
        assert isinstance(name, int)
        columns = (rows[column].to_numpy().astype(float) for column in ("number", "due", "renewed"))
        renewals[name] = fit_renewal(*columns)
    return dict(sorted(renewals.items()))


def renewal_shares(
    renewals: Mapping[int, Renewal], plan_days: np.ndarray, num_payments: np.ndarray
) -> np.ndarray:
    """The share of those who have paid so many times that pays again, by the length of their plan, shape (n,)."""
    classes = plan_class(plan_days)
    share = np.empty(len(plan_days))
    for name in np.unique(classes):
        here = classes == name
        share[here] = renewals.get(int(name), UNKNOWN).renewed(num_payments[here])
    return share
