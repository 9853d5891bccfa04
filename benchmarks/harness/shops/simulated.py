"""Simulated shops: customers differ in rate, loyalty and order value; a kind adds what real shops have.

A season with a peak before the holidays, growth or decline, giants, a price change, a promotion
month, subscriptions, or several of them. The numbers of a shop are drawn by its seed; no model of
ours takes part.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.harness.shops.traits import KINDS, YEAR, Traits, traits_of

FIRST_DAY = datetime(2020, 1, 1)
AMOUNT_SPREAD = 0.5  # of the logarithms of a customer's orders
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


def simulated(kind: str, seed: int) -> pl.DataFrame:
    """The events of a shop in the order of time, with the columns of SCHEMA."""
    random = np.random.default_rng([list(KINDS).index(kind), seed])
    traits = traits_of(kind, random)
    rows = _subscriptions(random, traits) if traits.subscriptions else _orders(random, traits)
    at = pl.Series([FIRST_DAY + timedelta(days=float(day)) for day in rows["day"]])
    named = rows.with_columns(
        at.cast(SCHEMA["at"]).alias("at"),
        pl.format("c{}", "customer").alias("customer"),
        pl.format("o{}", pl.int_range(pl.len())).alias("order"),
    )
    return named.sort("at", maintain_order=True).select(list(SCHEMA)).cast(SCHEMA)


def expected_spend(kind: str, seed: int, at: datetime, horizon_days: int) -> float:
    """What the customers of `simulated` from before `at` spend within the horizon, to whoever knows all but chance.

    That is each one's rate, order value and whether they have left, and how the shop's days differ;
    not when they will leave, what they will order, nor the noise of the months ahead.
    """
    random = np.random.default_rng([list(KINDS).index(kind), seed])
    traits = traits_of(kind, random)
    assert not traits.subscriptions and not traits.price_change
    days = _days(random, traits)
    customers = _customers(random, traits, days.level)
    now = (at - FIRST_DAY).total_seconds() / 86_400
    is_there = (customers.first < now) & (customers.first + customers.stays > now)
    ahead = np.arange(int(now), min(int(now) + horizon_days, traits.num_days))
    staying = np.exp(-(ahead + 0.5 - now) / customers.mean_stay[is_there, None])
    value = np.exp(customers.value[is_there] + AMOUNT_SPREAD**2 / 2)
    return float((customers.rate[is_there] * value) @ staying @ days.known_level[ahead])


def true_pace(kind: str, seed: int) -> np.ndarray:
    """How fast customers of `simulated` buy on each day, without the noise of months, shape (num_days,)."""
    random = np.random.default_rng([list(KINDS).index(kind), seed])
    return _days(random, traits_of(kind, random)).known_level


def _orders(random: np.random.Generator, traits: Traits) -> pl.DataFrame:
    """Each customer's first order, and a Poisson process of others, faster and slower as the shop's days are."""
    level = _days(random, traits).level
    known = _customers(random, traits, level)
    first = known.first
    last = np.minimum(first + known.stays, traits.num_days)
    candidates = random.poisson(known.rate * level.max() * (last - first))
    customer = np.repeat(np.arange(traits.num_customers), candidates)
    day = first[customer] + random.random(len(customer)) * (last - first)[customer]
    is_bought = random.random(len(day)) < level[day.astype(int)] / level.max()
    customers = np.concatenate([np.arange(traits.num_customers), customer[is_bought]])
    days = np.concatenate([first, day[is_bought]])
    noise = random.normal(0.0, AMOUNT_SPREAD, len(customers))
    amount = np.exp(known.value[customers] + noise)
    changed_at = random.uniform(0.4, 0.9) * traits.num_days
    amount = amount * np.exp(traits.price_change * (days >= changed_at))
    return _frame(random, customers, days, "purchase", amount)


@dataclass(frozen=True)
class _Customers:
    """What each customer is like, arrays (num_customers,)."""

    first: np.ndarray  # day
    rate: np.ndarray  # orders a day
    mean_stay: np.ndarray  # days
    stays: np.ndarray  # days
    value: np.ndarray  # logarithm of the median order


def _customers(random: np.random.Generator, traits: Traits, level: np.ndarray) -> _Customers:
    first = _first_days(random, traits, level)
    rate = traits.rate * random.gamma(traits.spread, 1 / traits.spread, traits.num_customers)
    mean_stay = traits.loyalty_days * random.gamma(2.0, 0.5, traits.num_customers)
    stays = random.exponential(mean_stay)
    value = np.log(traits.order_value) + random.normal(0.0, 0.6, traits.num_customers)
    is_giant = random.random(traits.num_customers) < traits.share_giants
    rate = np.where(is_giant, random.uniform(0.05, 0.2, traits.num_customers), rate)
    stays = np.where(is_giant, traits.num_days, stays)
    mean_stay = np.where(is_giant, np.inf, mean_stay)
    value = value + is_giant * random.normal(2.0, 0.7, traits.num_customers)
    return _Customers(first, rate, mean_stay, stays, value)


@dataclass(frozen=True)
class _Days:
    """How fast customers buy on each day, over the average day, shape (num_days,)."""

    level: np.ndarray
    known_level: np.ndarray  # without the noise of months


def _days(random: np.random.Generator, traits: Traits) -> _Days:
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
    logarithm = traits.season * (0.5 * waves + peak)
    logarithm += traits.promotion * (month % 12 == promoted)
    logarithm += traits.rate_growth * (day / YEAR - day[-1] / YEAR / 2)
    return _Days(np.exp(logarithm + noise), np.exp(logarithm))


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
