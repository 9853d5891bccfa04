"""From a customer's expected spend over the trained horizon to periods, costs and lifetime value."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from lifecycle.btyd.model import (
    Btyd,
    btyd_active,
    btyd_churn,
    btyd_curve,
    btyd_order_value,
    btyd_survival,
)
from lifecycle.btyd.season import Season
from lifecycle.value.costs import CostRates, customer_rates
from lifecycle.value.formula import ClvSettings, discount_rates, present_value
from lifecycle.value.prospects import ProspectRates, prospect_conversion

LEAST_SHARE = 1e-12  # of the horizon's spend, in all periods
UNKNOWN = Season()


@dataclass(frozen=True)
class CustomerValues:
    """Value of n customers over T periods, amounts in currency. Arrays are (n,), those of `periods` (n, T).

    clv = revenue - refunds - goods_cost - service_cost - marketing_cost - discounting.
    """

    clv: np.ndarray
    clv_bounds: dict[float, tuple[np.ndarray, np.ndarray]]  # level -> low, high
    revenue: np.ndarray
    refunds: np.ndarray
    goods_cost: np.ndarray
    service_cost: np.ndarray
    marketing_cost: np.ndarray
    discounting: np.ndarray  # what the margin is worth less because it comes later
    annual_discount_rate: np.ndarray
    expected_orders: np.ndarray
    expected_order_value: np.ndarray
    p_active: np.ndarray
    churn_probability: np.ndarray
    period_revenue: np.ndarray
    period_cost: np.ndarray
    period_discounted: np.ndarray
    extrapolated: np.ndarray  # (T,): the period ends beyond the trained horizon


@dataclass(frozen=True)
class Behaviour:
    """How n customers are expected to behave in T periods from now on."""

    active: np.ndarray  # (n,): probability of being a customer now
    survival: np.ndarray  # (n, T): in the middle of each period
    churn: np.ndarray  # (n,): probability of no purchase within the horizon
    order_value: np.ndarray  # (n,)
    shares: np.ndarray  # (n, T): spend of each period per unit of spend within the horizon


def buyer_behaviour(
    examples: pl.DataFrame,
    btyd: Btyd | None,
    settings: ClvSettings,
    horizon_days: int,
    season: Season = UNKNOWN,
) -> Behaviour:
    """Of customers who have bought: spend follows BTYD's expected purchases, beyond the horizon its survival.

    Months differ as the season says. Without a BTYD model spend is spread evenly and nobody leaves.
    """
    size = examples.height
    even = _even_shares(examples.height, settings, horizon_days)
    if btyd is None:
        return Behaviour(
            np.ones(size), np.ones_like(even), np.zeros(size), _order_value(examples, None), even
        )
    middles = settings.period_days * (np.arange(settings.num_periods) + 0.5)
    return Behaviour(
        active=btyd_active(btyd, examples),
        survival=btyd_survival(btyd, examples, middles),
        churn=btyd_churn(btyd, examples, horizon_days),
        order_value=_order_value(examples, btyd),
        shares=_shares(examples, btyd, settings, horizon_days, season),
    )


def prospect_behaviour(
    examples: pl.DataFrame, rates: ProspectRates | None, settings: ClvSettings, horizon_days: int
) -> Behaviour:
    """Of people who have not bought yet: as active as they are likely to buy, with spend spread evenly."""
    conversion = prospect_conversion(rates, examples)
    order_value = np.full(examples.height, rates.order_value if rates else 0.01)
    shares = _even_shares(examples.height, settings, horizon_days)
    return Behaviour(
        conversion,
        np.ones_like(shares) * conversion[:, None],
        1.0 - conversion,
        order_value,
        shares,
    )


def customer_values(
    examples: pl.DataFrame,
    total: np.ndarray,
    bounds: dict[float, tuple[np.ndarray, np.ndarray]],
    behaviour: Behaviour,
    costs: CostRates,
    settings: ClvSettings,
    horizon_days: int,
) -> CustomerValues:
    """Lifetime value of customers whose spend over the horizon is expected to be `total` (n,).

    `bounds` has the ends of their spend over all periods by level: quantiles, which need not hold
    what is expected. It is spread over the periods as that is. Costs are those of
    `lifecycle.value.costs`; service and marketing end as customers leave. Each customer's future is
    discounted at its own rate where `examples` has one.
    """
    shares = behaviour.shares
    rates = customer_rates(examples, costs)
    margin_costs = rates["refunds"] + rates["goods"]  # per unit of spend
    revenue = total[:, None] * shares
    days = settings.period_days * behaviour.survival
    service = rates["service"][:, None] * days
    marketing = rates["marketing"][:, None] * days
    standing = service + marketing
    cost = margin_costs[:, None] * revenue + standing
    annual = discount_rates(examples, settings)
    worth = partial(present_value, annual_discount_rate=annual, period_days=settings.period_days)
    discounted, clv = worth(revenue, cost)
    _, per_unit = worth(shares, margin_costs[:, None] * shares)  # below 0 for who buys at a loss
    _, without_spend = worth(np.zeros_like(standing), standing)
    total_revenue = revenue.sum(axis=1)
    per_spent = per_unit / np.maximum(shares.sum(axis=1), LEAST_SHARE)
    ends = {
        level: [without_spend + end * per_spent for end in both] for level, both in bounds.items()
    }
    return CustomerValues(
        clv=clv,
        clv_bounds={level: (np.minimum(*both), np.maximum(*both)) for level, both in ends.items()},
        revenue=total_revenue,
        refunds=rates["refunds"] * total_revenue,
        goods_cost=rates["goods"] * total_revenue,
        service_cost=service.sum(axis=1),
        marketing_cost=marketing.sum(axis=1),
        discounting=(revenue - cost).sum(axis=1) - clv,
        annual_discount_rate=annual,
        expected_orders=total_revenue / behaviour.order_value,
        expected_order_value=behaviour.order_value,
        p_active=behaviour.active,
        churn_probability=behaviour.churn,
        period_revenue=revenue,
        period_cost=cost,
        period_discounted=discounted,
        extrapolated=settings.period_days * np.arange(1, settings.num_periods + 1) > horizon_days,
    )


def _even_shares(num_customers: int, settings: ClvSettings, horizon_days: int) -> np.ndarray:
    return np.full((num_customers, settings.num_periods), settings.period_days / horizon_days)


def _shares(
    examples: pl.DataFrame, btyd: Btyd, settings: ClvSettings, horizon_days: int, season: Season
) -> np.ndarray:
    """Expected purchases of each period per expected purchase within the horizon, shape (n, T)."""
    ends = settings.period_days * np.arange(1, settings.num_periods + 1)
    days, position = np.unique(np.append(ends, horizon_days), return_inverse=True)
    curve = btyd_curve(btyd, examples, days.astype(float))
    if season.is_known:
        between = np.diff(curve, axis=1, prepend=0.0)
        between *= season.of_intervals(examples["cutoff"], np.append(0, days))
        curve = between.cumsum(axis=1)
    curve = curve[:, position]
    within = curve[:, -1:]
    per_period = np.diff(curve[:, :-1], axis=1, prepend=0.0)
    even = _even_shares(examples.height, settings, horizon_days)
    return np.where(within > 1e-12, per_period / np.maximum(within, 1e-12), even)


def _order_value(examples: pl.DataFrame, btyd: Btyd | None) -> np.ndarray:
    """Expected value of an order day, at least one cent so that expected orders stay finite."""
    own = (examples["total_spend"] / examples["num_order_days"]).to_numpy()
    value: np.ndarray = np.maximum(own if btyd is None else btyd_order_value(btyd, examples), 0.01)
    return value
