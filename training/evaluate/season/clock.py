"""The clock of a shop, which runs as fast as customers buy: BTYD models, who know no season, read times on it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.features.numbers import BTYD_SUMMARY


@dataclass(frozen=True)
class Clock:
    """What it shows on whole days from a cutoff, negative before it. Its unit is the average day before the cutoff.

    Purchases are taken for a Poisson process whose rate the shop's season and growth multiply for
    all customers alike. On a clock that runs as fast as they do the rate is even (time rescaling,
    Cox and Isham 1980): who was silent in the low season has not been silent for long. Its pace is that
    of spend: a change of order values is taken for one of the rate.
    """

    first: int  # day
    shown: np.ndarray  # on the first day and those after it

    @classmethod
    def of(
        cls,
        pace: Callable[[np.ndarray], np.ndarray],
        first: int,
        last: int,
        closed: range = range(0),
    ) -> "Clock":
        """From how fast customers buy, which is asked of the middles of days, from the day `first` to `last`.

        On the days `closed` it stands.
        """
        days = np.arange(first, last)
        speed = np.where(np.isin(days, closed), 0.0, pace(days + 0.5))
        return cls(first, np.concatenate([[0.0], np.cumsum(speed / speed[:-first].mean())]))

    def passed(self, start: np.ndarray | int, end: np.ndarray | int) -> np.ndarray:
        """How much of it passes from one day to another."""
        shown: np.ndarray = self.shown[end - self.first] - self.shown[start - self.first]
        return shown

    def summaries(self, known: pl.DataFrame, day: int) -> pl.DataFrame:
        """`known`, the customers of a day, with recency and age on it."""
        _, recency, age = (known[name].to_numpy().astype(int) for name in BTYD_SUMMARY)
        first = day - age
        times = (self.passed(first, first + recency), self.passed(first, day))
        read = {name: pl.Series(time) for name, time in zip(BTYD_SUMMARY[1:], times, strict=True)}
        return known.with_columns(**read)
