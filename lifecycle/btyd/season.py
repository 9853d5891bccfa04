"""How the months of a shop's year differ, and by how much expected totals are brought to what the season will bring."""

from datetime import date
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl

from lifecycle.folders import Stored

DAYS_PER_YEAR = 365.25
NUM_MONTHS = 12


class Season(Stored):
    """What the shop's past says of the months after a cutoff; `factor` is 1 where it says nothing.

    `factor` is what BG/NBD's total over the horizon is multiplied by, and every other model's total
    is brought to it. `low` and `high` are its 95 % interval.
    """

    factor: float = 1.0
    low: float | None = None
    high: float | None = None
    learned_from: tuple[date, date] | None = None  # first day, and the day after the last
    # Spend of each month after the cutoff over that of the average month, as the year before had it.
    months: dict[str, float] = {}
    cutoff: date | None = None
    # What the months around the same days a year ago brought of what BG/NBD expected at the beginning of each.
    year_ago: float | None = None
    growth: float | None = None  # of what customers alike spend, in a year; 0.1 = ten per cent
    growth_low: float | None = None  # its 95 % interval
    growth_high: float | None = None
    why: str | None = None  # why nothing is known

    @property
    def is_known(self) -> bool:
        """Whether a whole year of outcomes told anything."""
        return bool(self.months)

    def told(self) -> str:
        """One sentence for people."""
        if not self.is_known:
            return f"season and growth are not in the forecast: {self.why}"
        told = f"the total is brought to {self.factor:.2f} of what these models expect"
        if self.year_ago is not None:
            told = (
                f"last year the months ahead brought {self.year_ago:.2f} of what these models expect; "
                f"the total is brought to {self.factor:.2f} of it"
            )
        return f"{told} (95 %: {self.low:.2f} to {self.high:.2f})"

    def ahead(self, cutoffs: pl.Series, horizon_days: int) -> np.ndarray:
        """The season of the horizon after each of `cutoffs` over that after this one's, shape (n,)."""
        window = np.array([0, horizon_days])
        assert self.cutoff is not None
        here = self._means(self.cutoff, window)[0]
        return self.of_intervals(cutoffs, window)[:, 0] / here  # type: ignore[no-any-return]

    def of_intervals(self, cutoffs: pl.Series, ends: np.ndarray) -> np.ndarray:
        """The mean season between each two of `ends` (k + 1,), whole days after each of `cutoffs`, shape (n, k)."""
        days = cutoffs.dt.date()
        distinct = days.unique().sort()
        means = [self._means(day, ends) for day in distinct.to_list()]
        found = np.array(means).reshape(-1, len(ends) - 1)  # of nobody too
        return found[distinct.search_sorted(days).to_numpy()]  # type: ignore[no-any-return]

    def _means(self, cutoff: date, ends: np.ndarray) -> np.ndarray:
        """Of the days between each two of `ends`, each interval by itself: other rows change no bit."""
        daily = self._daily(cutoff.toordinal() + np.arange(max(ends[-1], 1)))
        return np.array([daily[start:end].mean() for start, end in pairwise(ends)])

    def _daily(self, days: np.ndarray) -> np.ndarray:
        middles, logarithms = self._curve
        daily: np.ndarray = np.exp(np.interp(days, middles, logarithms, period=DAYS_PER_YEAR))
        return daily

    @cached_property
    def _curve(self) -> tuple[np.ndarray, np.ndarray]:
        """The middle of each month, as an ordinal day, and the logarithm of its factor."""
        middles = [date.fromisoformat(f"{month}-15").toordinal() for month in self.months]
        return np.array(middles), np.log(list(self.months.values()))
