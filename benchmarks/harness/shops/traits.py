"""What simulated shops are like, by kind: numbers drawn by a seed, about one ordinary shop and what each kind adds."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

YEAR = 365.25


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


def traits_of(kind: str, random: np.random.Generator) -> Traits:
    """Those of a shop of one of KINDS."""
    return KINDS[kind](random, _ordinary(random))


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
