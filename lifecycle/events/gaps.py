"""Weeks without a purchase in a shop that sold before and after: an export is missing, or it was closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

MIN_GAP_DAYS = 28
MIN_MISSED = 20.0  # order days of customers that chance cannot have left out
AROUND_DAYS = 91  # on each side, that tell what was missed
HARDLY_ANY = 0.25  # of what was missed: so little on the same days of another year is a season
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Gap:
    """Days without a purchase, both included.

    `comes_again`: whether hardly anything was bought on the same days a year before or after,
    either; None where the data hold no such days.
    """

    first: date
    last: date
    comes_again: bool | None

    @property
    def num_days(self) -> int:
        """How long it is."""
        return (self.last - self.first).days + 1


def gaps_of(orders: Mapping[date, int]) -> list[Gap]:
    """The gaps between days with purchases, oldest first; `orders` counts the customers who bought on a day.

    What was missed is what the thinner of the 91 days before and after would have brought.
    """
    days = sorted(day for day, count in orders.items() if count)
    if not days:
        return []
    start = days[0]
    counts = np.zeros((days[-1] - start).days + 1)
    for day in days:
        counts[(day - start).days] = orders[day]
    bought = np.flatnonzero(counts)
    ends = np.flatnonzero(np.diff(bought) > MIN_GAP_DAYS)
    found = []
    for before, after in zip(bought[ends], bought[ends + 1], strict=True):
        first, end = int(before) + 1, int(after)
        missed = (end - first) * _rate_around(counts, first, end)
        if missed >= MIN_MISSED:
            dates = start + timedelta(days=first), start + timedelta(days=end - 1)
            found.append(Gap(*dates, _comes_again(counts, first, end, missed)))
    return found


def _rate_around(counts: np.ndarray, first: int, end: int) -> float:
    """Customers a day on the thinner side of the days [first, end); 0 where one side has too few to tell."""
    sides = counts[max(first - AROUND_DAYS, 0) : first], counts[end : end + AROUND_DAYS]
    return min(float(side.mean()) if side.sum() >= MIN_MISSED else 0.0 for side in sides)


def _comes_again(counts: np.ndarray, first: int, end: int, missed: float) -> bool | None:
    others = [
        float(counts[first + shift : end + shift].sum())
        for shift in (-YEAR.days, YEAR.days)
        if first + shift >= 0 and end + shift <= len(counts)
    ]
    return min(others) <= HARDLY_ANY * missed if others else None
