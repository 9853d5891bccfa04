"""What ingest reads, leaves out and finds while the rows of the sources stream by."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.schema import is_purchase
from training.ingest.quality.account import Account, money_of
from training.ingest.quality.orders.dropped import DroppedOrders
from training.ingest.tables.repeats import IN_EARLIER_FILE
from training.results.quality import Matches, Money, TableRows

SMALLEST_LOG_AMOUNT = -4  # decimal logarithms of the amounts told apart for the outlier fence
LARGEST_LOG_AMOUNT = 10
BINS_PER_DECADE = 100
MIN_AMOUNTS = 50  # of a source, for its median to be compared
MIN_STEPS = 10  # back in time, and for each one forward, in a file that has its newest rows first
HUNDRED = (60, 160)  # times another's median, as cents are
NUM_BINS = (LARGEST_LOG_AMOUNT - SMALLEST_LOG_AMOUNT) * BINS_PER_DECADE


@dataclass
class ReadCounts:
    """Counts of all sources and tables."""

    account: Account = field(default_factory=Account)
    rows_read: Counter[str] = field(default_factory=Counter)  # by source
    days: Counter[date] = field(default_factory=Counter)  # rows that have a customer and a time
    purchase_days: Counter[date] = field(default_factory=Counter)
    amounts_of: dict[str, np.ndarray] = field(default_factory=dict)  # by file, of each size
    dropped_orders: DroppedOrders = field(default_factory=DroppedOrders)
    currencies: dict[str, Money] = field(default_factory=dict)
    matches: dict[str, Matches] = field(default_factory=dict)  # of lookups
    tables: dict[str, TableRows] = field(default_factory=dict)
    # Where each sign of a column of money was seen first, by source and column.
    signs: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    num_conflicting_items: int = 0
    num_amounts_as_zero: int = 0  # that were missing
    files: dict[Path, int] = field(default_factory=dict)  # numbers of those that were read
    sources: list[int] = field(default_factory=list)  # of each file the number of the first source
    times: dict[Path, tuple[datetime, datetime]] = field(
        default_factory=dict
    )  # of each file, first and last
    newest_first: list[Path] = field(default_factory=list)  # files whose rows go back in time
    files_not_read: list[str] = field(default_factory=list)

    def file_number(self, file: Path, source: int) -> int:
        """The number of a file, over all sources; that of its `source` is kept."""
        if file not in self.files:
            self.sources.append(source)
        return self.files.setdefault(file, len(self.files))

    def add_read(
        self, source: str, kept: pl.DataFrame, left_out: Mapping[str, pl.DataFrame]
    ) -> None:
        """Enter rows read from a source: those that its filters keep, and the others by reason."""
        for reason, rows in left_out.items():
            self.leave_out(reason, rows)
        parts = [money_of(rows) for rows in (kept, *left_out.values())]
        self.rows_read[source] += sum(part.rows for part in parts)
        for part in parts:
            self.account.read = self.account.read.plus(part)

    def add_times(self, file: Path, times: pl.Series) -> None:
        """Take in when rows of a file happened."""
        first, last = times.min(), times.max()
        if isinstance(first, datetime) and isinstance(last, datetime):
            earlier = self.times.get(file, (first, last))
            self.times[file] = (min(first, earlier[0]), max(last, earlier[1]))
        steps = times.drop_nulls().diff().drop_nulls().dt.total_microseconds()
        if (steps < 0).sum() > max(MIN_STEPS, (steps > 0).sum() * MIN_STEPS):
            self.newest_first.append(file)

    def add_days(self, days: pl.DataFrame) -> None:
        """Count the rows and the purchases of each `day`."""
        for day, num_rows, num_purchases in days.select("day", "rows", "purchases").iter_rows():
            self.days[day] += num_rows
            self.purchase_days[day] += num_purchases

    def leave_out(self, reason: str, rows: pl.DataFrame) -> None:
        """Enter rows that are left out while they are read, and the orders that lose them."""
        self.account.drop(reason, rows)
        if reason != IN_EARLIER_FILE:  # which has the line of that order
            self.dropped_orders.add(reason, rows)

    def set_table(self, name: str, num_read: int, kept: int, left_out: Counter[str]) -> None:
        """Enter a table that is read at once; every row is kept, or left out for a reason."""
        assert num_read == kept + left_out.total(), (name, num_read, kept, left_out)
        dropped = {reason: count for reason, count in left_out.items() if count}
        self.tables[name] = TableRows(read=num_read, kept=kept, dropped=dropped)

    def add_currencies(self, found: Mapping[str, Money]) -> None:
        """Count the money of each currency, in the shop's."""
        for code, money in found.items():
            self.currencies[code] = self.currencies.get(code, Money()).plus(money)

    def add_matches(self, table: str, rows: int, matched: int) -> None:
        """Count rows that name something in a lookup, and those whose name it has."""
        before = self.matches.get(table, Matches())
        self.matches[table] = before.plus(Matches(rows=rows, matched=matched))

    def add_amounts(self, source: str, rows: pl.DataFrame) -> None:
        """Count the purchase amounts of a file or a source by size."""
        if "amount" not in rows.columns:
            return
        is_paid = is_purchase() & (pl.col("amount") > 0)
        positive = rows.select(pl.col("amount").filter(is_paid)).to_series().to_numpy()
        bins = np.floor((np.log10(positive) - SMALLEST_LOG_AMOUNT) * BINS_PER_DECADE)
        inside = np.clip(bins.astype(np.int64), 0, NUM_BINS - 1)
        counts = np.bincount(inside, minlength=NUM_BINS)
        self.amounts_of[source] = self.amounts_of.get(source, 0) + counts

    def outlier_fence(self, spread: float) -> float:
        """The amount `spread` interquartile ranges of log amount above the third quartile; inf without purchases."""
        amounts = np.sum([*self.amounts_of.values(), np.zeros(NUM_BINS, dtype=np.int64)], axis=0)
        if not amounts.sum():
            return float("inf")
        low = _log_amount(amounts, 0.25)
        high = _log_amount(amounts, 0.75)
        return float(10 ** (high + spread * max(high - low, 0.01)))

    def other_units(self) -> str | None:
        """What to tell of two files of which one seems to count in hundredths of the other's unit."""
        medians = {
            source: 10 ** _log_amount(amounts, 0.5)
            for source, amounts in self.amounts_of.items()
            if amounts.sum() >= MIN_AMOUNTS
        }
        if len(medians) < 2:
            return None
        least, most = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
        times = medians[most] / medians[least]
        if not HUNDRED[0] <= times <= HUNDRED[1]:
            return None
        return (
            f"amounts of {most} are {times:.0f} times those of {least} (medians {medians[most]:.2f} and "
            f'{medians[least]:.2f}): if one counts in cents, say {{sql: "x / 100"}} of its column x'
        )


def _log_amount(amounts: np.ndarray, quantile: float) -> float:
    share = np.cumsum(amounts) / amounts.sum()
    num_bins = int(np.searchsorted(share, quantile)) + 1
    return SMALLEST_LOG_AMOUNT + num_bins / BINS_PER_DECADE
