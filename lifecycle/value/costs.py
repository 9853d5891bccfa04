"""What customers cost: refunds, goods, service and marketing, at rates learned from what each has cost so far.

Refunds and goods are shares of spend, service and marketing costs per day from a customer's first
event of any kind. A customer's own rate is shrunk to the shop's, since a few orders tell little
(credibility, Buehlmann 1967): with weight 1 it counts half once the customer has spent as much as
the mean one, or was seen for PRIOR_DAYS. Where the data hold no such cost at all, the recipe's
default is everybody's rate.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import Field

from lifecycle.config import Config

CAP = 0.99
PRIOR_DAYS = 90.0
SHARES = {"refunds": "total_refunded", "goods": "total_goods_cost"}  # of spend
DAILY = {"service": "total_service_cost", "marketing": "total_marketing_cost"}


class CostDefaults(Config):
    """Rates of a shop whose data hold no such cost: shares of spend, or currency per customer and day."""

    refunds: float = Field(0.0, ge=0, le=1)
    goods: float = Field(0.0, ge=0)
    service: float = Field(0.0, ge=0)
    marketing: float = Field(0.0, ge=0)


@dataclass(frozen=True)
class CostRate:
    """What customers cost on average per unit of spend, or per day."""

    rate: float
    is_learned: bool  # from the data; else nobody's own costs tell more than this
    weight: float = 1.0  # of a customer's own costs; 0: the shop's rate is everybody's

    def of_customers(self, cost: np.ndarray, base: np.ndarray, prior: float) -> np.ndarray:
        """Each customer's own rate, (n,): its `cost` over its `base`, and the shop's over a base of `prior`."""
        own: np.ndarray = (self.weight * cost + self.rate * prior) / (self.weight * base + prior)
        return own if self.is_learned else np.full(len(cost), self.rate)


@dataclass(frozen=True)
class CostRates:
    """The shop's average rates, and what its mean customer has spent."""

    refunds: CostRate
    goods: CostRate
    service: CostRate
    marketing: CostRate
    mean_spend: float


def fit_cost_rates(examples: pl.DataFrame, defaults: CostDefaults) -> CostRates:
    """Rates from what customers had cost before their cutoffs; `examples` has the columns of FEATURES.

    For shares of spend nobody's spend or costs count for more than the spend that CAP of the
    customers stay below: one order of a million that came back must not be half of what the shop
    sells. Both are made smaller alike, so that a giant's share stays its own. The shop's refunds
    have cancelled lines among them, since the spend that is predicted has; customers' own have not:
    who mistyped once need not do it again.
    """
    days = max(float(examples["known_days"].sum()), 1.0)
    most = float(examples["total_spend"].quantile(CAP, "linear") or 0.0)
    spend, refunded, goods = (
        examples[name].to_numpy() for name in ("total_spend", *SHARES.values())
    )
    cancelled = examples["total_cancelled"].to_numpy()
    found = {
        "refunds": min(_share_of_spend(refunded + cancelled, spend + cancelled, most), 1.0),
        "goods": _share_of_spend(goods, spend, most),
    }
    found |= {name: float(examples[column].sum()) / days for name, column in DAILY.items()}
    rates = {
        name: CostRate(rate, True) if rate else CostRate(getattr(defaults, name), False)
        for name, rate in found.items()
    }
    return CostRates(**rates, mean_spend=max(float(np.clip(spend, 0, most).mean()), 1e-9))


def _share_of_spend(cost: np.ndarray, spend: np.ndarray, most: float) -> float:
    """What all cost over what all spent, both (n,), where nobody counts for more than `most` of either."""
    smaller = np.minimum(1.0, most / np.maximum(spend, 1e-9))
    counted = np.clip(cost * smaller, 0, most).sum()
    return float(counted) / max(float(np.clip(spend, 0, most).sum()), 1e-9)


def customer_rates(examples: pl.DataFrame, rates: CostRates) -> dict[str, np.ndarray]:
    """The rates of each customer, arrays (n,): refunds (0 to 1) and goods per unit of spend, service, marketing a day.

    A share of spend may exceed 1 for goods: somebody who buys at a loss has a negative value.
    """
    spend = examples["total_spend"].to_numpy()
    days = np.nan_to_num(examples["known_days"].to_numpy(), nan=0.0)
    shares = (spend, max(rates.mean_spend, 1e-9))
    daily = (days, PRIOR_DAYS)
    own = {
        name: getattr(rates, name).of_customers(
            examples[column].to_numpy(), *(shares if name in SHARES else daily)
        )
        for name, column in (SHARES | DAILY).items()
    }
    return own | {"refunds": np.clip(own["refunds"], 0.0, 1.0)}
