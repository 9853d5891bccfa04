"""Simulated shops: customers differ in rate, loyalty and order value; a kind adds what real shops have.

A season with a peak before the holidays, growth or decline, giants, a price change, a promotion
month, subscriptions, or several of them. The numbers of a shop are drawn by its seed; no model of
ours takes part.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

YEAR = 365.25
FIRST_DAY = datetime(2020, 1, 1)
SCHEMA = pl.Schema(
    {
        "customer": pl.String(),
        "at": pl.Datetime("us"),
        "kind": pl.String(),
        "order": pl.String(),
        "item": pl.String(),
        "amount": pl.Float64(),
    }
)


@dataclass(frozen=True)
class Traits:
    """What a shop is like; the defaults are one without season, trend or anything special."""

    num_customers: int
    num_days: int
    rate: float  # orders a day, of the average customer while it stays
    spread: float  # shape of the gamma distribution of rates; small: customers differ much
    loyalty_days: float  # mean time until a customer leaves
    order_value: float
    season: float = 0.0  # by how much, in logarithms, months differ
    season_noise: float = 0.0  # of each month of each year
    growth: float = 0.0  # of the stream of new customers in a year, in logarithms
    rate_growth: float = 0.0  # of everybody's rate in a year, in logarithms
    share_giants: float = 0.0
    price_change: float = 0.0  # in logarithms, on one day
    promotion: float = 0.0  # of the rate in one month of each year, in logarithms
    subscriptions: bool = False


def simulated(kind: str, seed: int) -> pl.DataFrame:
    """The events of a shop in the order of time, with the columns of SCHEMA."""
    random = np.random.default_rng([list(KINDS).index(kind), seed])
    traits = KINDS[kind](random, _ordinary(random))
    rows = _subscriptions(random, traits) if traits.subscriptions else _orders(random, traits)
    at = pl.Series([FIRST_DAY + timedelta(days=float(day)) for day in rows["day"]])
    named = rows.with_columns(
        at.cast(SCHEMA["at"]).alias("at"),
        pl.format("c{}", "customer").alias("customer"),
        pl.format("o{}", pl.int_range(pl.len())).alias("order"),
    )
    return named.sort("at", maintain_order=True).select(list(SCHEMA)).cast(SCHEMA)


def _ordinary(random: np.random.Generator) -> Traits:
    return Traits(
        num_customers=int(random.integers(1500, 4000)),
        num_days=int(random.integers(730, 1300)),
        rate=float(np.exp(random.uniform(np.log(1 / 120), np.log(1 / 20)))),
        spread=float(random.uniform(0.5, 2.0)),
        loyalty_days=float(random.uniform(150, 900)),
        order_value=float(np.exp(random.uniform(np.log(15), np.log(300)))),
    )


def _season(random: np.random.Generator, traits: Traits) -> Traits:
    noise = float(random.uniform(0.02, 0.08))
    return replace(traits, season=float(random.uniform(0.25, 0.7)), season_noise=noise)


def _trend(random: np.random.Generator, traits: Traits) -> Traits:
    return replace(
        traits,
        growth=float(random.uniform(-0.3, 0.7)),
        rate_growth=float(random.uniform(-0.3, 0.3)),
    )


def _giants(random: np.random.Generator, traits: Traits) -> Traits:
    return replace(traits, share_giants=float(random.uniform(0.003, 0.015)))


def _price_change(random: np.random.Generator, traits: Traits) -> Traits:
    return replace(traits, price_change=float(random.choice([-1, 1]) * random.uniform(0.1, 0.35)))


def _promotion(random: np.random.Generator, traits: Traits) -> Traits:
    return replace(traits, promotion=float(random.uniform(0.4, 1.1)))


def _subscribing(random: np.random.Generator, traits: Traits) -> Traits:
    return replace(traits, subscriptions=True, order_value=float(random.uniform(8, 40)))


def _three_years(random: np.random.Generator, traits: Traits) -> Traits:
    whole = replace(traits, num_days=int(3 * YEAR))
    return _trend(random, _season(random, whole))


def _all_of(
    *parts: Callable[[np.random.Generator, Traits], Traits],
) -> Callable[[np.random.Generator, Traits], Traits]:
    def together(random: np.random.Generator, traits: Traits) -> Traits:
        for part in parts:
            traits = part(random, traits)
        return traits

    return together


KINDS: dict[str, Callable[[np.random.Generator, Traits], Traits]] = {
    "steady": lambda random, traits: traits,
    "season": _season,
    "trend": _trend,
    "giants": _giants,
    "price_change": _price_change,
    "promotion": _promotion,
    "subscriptions": _subscribing,
    "seasonal_three_years": _three_years,
    "season_and_trend": _all_of(_season, _trend),
    "season_and_giants": _all_of(_season, _giants),
    "promotion_and_trend": _all_of(_promotion, _trend),
    "wholesaler": _all_of(_season, _trend, _giants, _price_change),
}


def _orders(random: np.random.Generator, traits: Traits) -> pl.DataFrame:
    """Each customer's first order, and a Poisson process of others, faster and slower as the shop's days are."""
    level = _levels(random, traits)
    first = _first_days(random, traits, level)
    rate = traits.rate * random.gamma(traits.spread, 1 / traits.spread, traits.num_customers)
    stays = random.exponential(traits.loyalty_days * random.gamma(2.0, 0.5, traits.num_customers))
    value = np.log(traits.order_value) + random.normal(0.0, 0.6, traits.num_customers)
    is_giant = random.random(traits.num_customers) < traits.share_giants
    rate = np.where(is_giant, random.uniform(0.05, 0.2, traits.num_customers), rate)
    stays = np.where(is_giant, traits.num_days, stays)
    value = value + is_giant * random.normal(2.0, 0.7, traits.num_customers)
    last = np.minimum(first + stays, traits.num_days)
    candidates = random.poisson(rate * level.max() * (last - first))
    customer = np.repeat(np.arange(traits.num_customers), candidates)
    day = first[customer] + random.random(len(customer)) * (last - first)[customer]
    is_bought = random.random(len(day)) < level[day.astype(int)] / level.max()
    customers = np.concatenate([np.arange(traits.num_customers), customer[is_bought]])
    days = np.concatenate([first, day[is_bought]])
    amount = np.exp(value[customers] + random.normal(0.0, 0.5, len(customers)))
    changed_at = random.uniform(0.4, 0.9) * traits.num_days
    amount = amount * np.exp(traits.price_change * (days >= changed_at))
    return _frame(random, customers, days, "purchase", amount)


def _levels(random: np.random.Generator, traits: Traits) -> np.ndarray:
    """How fast customers buy on each day, over the average day, shape (num_days,)."""
    day = np.arange(traits.num_days)
    year = 2 * np.pi * day / YEAR
    waves = np.cos(year - random.uniform(0, 2 * np.pi)) + 0.5 * np.cos(
        2 * year - random.uniform(0, 2 * np.pi)
    )
    peak_at = random.uniform(300, 350)
    peak = np.exp(-(((day % YEAR - peak_at) / 25) ** 2))
    month = (day // (YEAR / 12)).astype(int)
    noise = random.normal(0.0, traits.season_noise, month.max() + 1)[month]
    promoted = int(random.integers(1, 11))
    logarithm = traits.season * (0.5 * waves + peak) + noise
    logarithm += traits.promotion * (month % 12 == promoted)
    logarithm += traits.rate_growth * (day / YEAR - day[-1] / YEAR / 2)
    levels: np.ndarray = np.exp(logarithm)
    return levels


def _first_days(random: np.random.Generator, traits: Traits, level: np.ndarray) -> np.ndarray:
    """When customers come: more on good days, more or fewer from year to year, a third of them at the beginning."""
    day = np.arange(traits.num_days)
    chance = level * np.exp(traits.growth * day / YEAR)
    chance[:30] += 0.5 * chance.sum() / 30
    chance /= chance.sum()
    return random.choice(day, traits.num_customers, p=chance) + random.random(traits.num_customers)


def _subscriptions(random: np.random.Generator, traits: Traits) -> pl.DataFrame:
    """A first payment, then renewals every month or year until the customer leaves; leaving chances differ."""
    first = _first_days(random, traits, np.ones(traits.num_days))
    is_yearly = random.random(traits.num_customers) < 0.25
    plan = traits.order_value * random.choice([1.0, 1.5, 2.5], traits.num_customers)
    price = np.where(is_yearly, 10 * plan, plan)
    every = np.where(is_yearly, 365.0, 30.4)
    leaving = random.beta(1.2, 12.0, traits.num_customers)
    leaving = np.where(is_yearly, 1 - (1 - leaving) ** 5, leaving)
    payments = random.geometric(np.maximum(leaving, 1e-6))
    customer = np.repeat(np.arange(traits.num_customers), payments)
    number = np.concatenate([np.arange(count) for count in payments])
    day = first[customer] + number * every[customer]
    is_seen = day < traits.num_days
    customer, number, day = customer[is_seen], number[is_seen], day[is_seen]
    kind = np.where(number == 0, "purchase", "renewal")
    return _frame(random, customer, day, kind, price[customer])


def _frame(
    random: np.random.Generator,
    customer: np.ndarray,
    day: np.ndarray,
    kind: str | np.ndarray,
    amount: np.ndarray,
) -> pl.DataFrame:
    items = random.zipf(1.5, len(customer)) % 200
    columns = {"customer": customer, "day": day, "amount": np.round(amount, 2), "item": items}
    kinds = pl.Series("kind", np.broadcast_to(kind, len(customer)).tolist())
    return pl.DataFrame(columns).with_columns(kinds, pl.format("i{}", "item").alias("item"))
