"""From a customer's expected spend over the trained horizon to periods, costs and lifetime value."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.value.baselines import Btyd, btyd_active, btyd_churn, btyd_curve, btyd_order_value, btyd_survival
from lifecycle.value.formula import ClvSettings, present_value
from lifecycle.value.prospects import ProspectRates, prospect_conversion

CAP = 0.99
PRIOR_DAYS = 90.0  # a customer's own cost per day counts half once this many days were seen


@dataclass(frozen=True)
class CostRates:
    """What the shop's customers cost on average: refunds per unit of spend, service and marketing per day."""

    refund_rate: float
    mean_spend: float
    service_per_day: float
    marketing_per_day: float


@dataclass(frozen=True)
class CustomerValues:
    """Value of n customers over T periods, amounts in currency. Arrays are (n,), those of `periods` (n, T)."""

    clv: np.ndarray
    clv_bounds: dict[float, tuple[np.ndarray, np.ndarray]]  # level -> low, high
    revenue: np.ndarray
    refunds: np.ndarray
    service_cost: np.ndarray
    marketing_cost: np.ndarray
    expected_orders: np.ndarray
    expected_order_value: np.ndarray
    p_active: np.ndarray
    churn_probability: np.ndarray
    period_revenue: np.ndarray
    period_cost: np.ndarray
    period_discounted: np.ndarray
    extrapolated: np.ndarray  # (T,): the period ends beyond the trained horizon


def fit_cost_rates(examples: pl.DataFrame) -> CostRates:
    """The shop's average rates, from what its customers cost before the cutoff.

    For the refund rate nobody's spend or refunds count for more than the spend that CAP of the customers stay below:
    one mistyped order of a million that was cancelled at once must not be half of what the shop sells.
    """
    days = max(float(examples["tenure_days"].sum()), 1.0)
    most = float(examples["total_spend"].quantile(CAP, "linear") or 0.0)
    spend, refunded = (float(examples[name].clip(0, most).sum()) for name in ("total_spend", "total_refunded"))
    return CostRates(
        refund_rate=min(refunded / max(spend, 1e-9), 1.0),
        mean_spend=spend / examples.height,
        service_per_day=float(examples["total_service_cost"].sum()) / days,
        marketing_per_day=float(examples["total_marketing_cost"].sum()) / days,
    )


@dataclass(frozen=True)
class Behaviour:
    """How n customers are expected to behave in T periods from now on."""

    active: np.ndarray  # (n,): probability of being a customer now
    survival: np.ndarray  # (n, T): in the middle of each period
    churn: np.ndarray  # (n,): probability of no purchase within the horizon
    order_value: np.ndarray  # (n,)
    shares: np.ndarray  # (n, T): spend of each period per unit of spend within the horizon


def buyer_behaviour(examples: pl.DataFrame, btyd: Btyd | None, settings: ClvSettings, horizon_days: int) -> Behaviour:
    """Of customers who have bought: spend follows BTYD's expected purchases, beyond the horizon its survival.

    Without a BTYD model spend is spread evenly and nobody leaves.
    """
    size, even = examples.height, _even_shares(examples.height, settings, horizon_days)
    if btyd is None:
        return Behaviour(np.ones(size), np.ones_like(even), np.zeros(size), _order_value(examples, None), even)
    middles = settings.period_days * (np.arange(settings.num_periods) + 0.5)
    return Behaviour(
        active=btyd_active(btyd, examples),
        survival=btyd_survival(btyd, examples, middles),
        churn=btyd_churn(btyd, examples, horizon_days),
        order_value=_order_value(examples, btyd),
        shares=_shares(examples, btyd, settings, horizon_days),
    )


def prospect_behaviour(
    examples: pl.DataFrame, rates: ProspectRates | None, settings: ClvSettings, horizon_days: int
) -> Behaviour:
    """Of people who have not bought yet: as active as they are likely to buy, with spend spread evenly."""
    conversion = prospect_conversion(rates, examples)
    order_value = np.full(examples.height, rates.order_value if rates else 0.01)
    shares = _even_shares(examples.height, settings, horizon_days)
    return Behaviour(conversion, np.ones_like(shares) * conversion[:, None], 1.0 - conversion, order_value, shares)


def customer_values(
    examples: pl.DataFrame,
    total: np.ndarray,
    bounds: dict[float, tuple[np.ndarray, np.ndarray]],
    behaviour: Behaviour,
    costs: CostRates,
    settings: ClvSettings,
    horizon_days: int,
) -> CustomerValues:
    """Lifetime value of customers whose spend over the horizon is expected to be `total` (n,), within `bounds`.

    Refunds are a share of revenue, service and marketing a cost per day for as long as somebody is a customer; a
    customer's own rates are shrunk to the shop's.
    """
    shares = behaviour.shares
    refund_rate, daily_service, daily_marketing = _own_rates(examples, costs)
    revenue = total[:, None] * shares
    days = settings.period_days * behaviour.survival
    service, marketing = daily_service[:, None] * days, daily_marketing[:, None] * days
    standing = service + marketing
    cost = refund_rate[:, None] * revenue + standing
    time = {"annual_discount_rate": settings.annual_discount_rate, "period_days": settings.period_days}
    discounted, clv = present_value(revenue, cost, **time)
    _, per_unit = present_value(shares, refund_rate[:, None] * shares, **time)  # at least 0, so that order is kept
    _, without_spend = present_value(np.zeros_like(standing), standing, **time)
    total_revenue = revenue.sum(axis=1)
    return CustomerValues(
        clv=clv,
        clv_bounds={
            level: (
                np.minimum(clv, without_spend + low * per_unit),
                np.maximum(clv, without_spend + high * per_unit),
            )
            for level, (low, high) in bounds.items()
        },
        revenue=total_revenue,
        refunds=refund_rate * total_revenue,
        service_cost=service.sum(axis=1),
        marketing_cost=marketing.sum(axis=1),
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


def _shares(examples: pl.DataFrame, btyd: Btyd, settings: ClvSettings, horizon_days: int) -> np.ndarray:
    """Expected purchases of each period per expected purchase within the horizon, shape (n, T)."""
    ends = settings.period_days * np.arange(1, settings.num_periods + 1, dtype=float)
    days, position = np.unique(np.append(ends, float(horizon_days)), return_inverse=True)
    curve = btyd_curve(btyd, examples, days)[:, position]
    within = curve[:, -1:]
    per_period = np.diff(curve[:, :-1], axis=1, prepend=0.0)
    even = _even_shares(examples.height, settings, horizon_days)
    return np.where(within > 1e-12, per_period / np.maximum(within, 1e-12), even)


def _own_rates(examples: pl.DataFrame, costs: CostRates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each customer's refund rate and daily service and marketing cost, shrunk to the shop's rates."""
    spend, days = examples["total_spend"].to_numpy(), examples["tenure_days"].fill_null(0).to_numpy()
    prior_spend = max(costs.mean_spend, 1e-9)
    refund = (examples["total_refunded"].to_numpy() + costs.refund_rate * prior_spend) / (spend + prior_spend)
    service = (examples["total_service_cost"].to_numpy() + costs.service_per_day * PRIOR_DAYS) / (days + PRIOR_DAYS)
    marketing = (examples["total_marketing_cost"].to_numpy() + costs.marketing_per_day * PRIOR_DAYS) / (
        days + PRIOR_DAYS
    )
    return np.clip(refund, 0.0, 1.0), service, marketing


def _order_value(examples: pl.DataFrame, btyd: Btyd | None) -> np.ndarray:
    """Expected value of an order day, at least one cent so that expected orders stay finite."""
    own = (examples["total_spend"] / examples["num_order_days"]).to_numpy()
    value: np.ndarray = np.maximum(own if btyd is None else btyd_order_value(btyd, examples), 0.01)
    return value
