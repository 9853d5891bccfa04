"""Dates far from all others, such as a mistyped year: their rows are set apart, so that they move no cutoff."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from lifecycle.events.schema import is_purchase
from training.ingest.files.found import source_files
from training.ingest.sources import Source

FAR = "date_far_from_others"
MIN_ROWS = 100  # of fewer, one row is more than may be set apart
MIN_GAP_DAYS = 90
TIMES_OWN_GAP = 10  # the gap that 99 of 100 of the shop's own are at most
MAX_SET_APART = 0.01  # of all rows
THIN_DAYS = 30  # at the end, with at most THIN of the rows that as many days before have
THIN = 0.1
MAX_DAYS_AHEAD = 366  # of the day on which files were written
MIN_YEARS = 8  # of two digits, in all of which ...
MAX_DAYS_OF_MONTH = 3  # ... rows have the same few days: those are years, and years days
MIN_EPOCH = 0.05  # of all rows: so many behind a gap are the shop's own time ...
MAX_EPOCH_GAP_DAYS = 730  # ... unless years lie between


@dataclass(frozen=True)
class Span:
    """The days (UTC) whose rows are kept, both included; `is_given` where the recipe said that end."""

    first: date
    last: date
    first_is_given: bool = False
    last_is_given: bool = False

    def reason(self) -> pl.Expr:
        """Of each row why it is left out; null where it is kept."""
        day = pl.col("occurred_at").dt.date()
        before = "before_first_date" if self.first_is_given else FAR
        after = "after_last_date" if self.last_is_given else FAR
        return (
            pl.when(day < self.first).then(pl.lit(before)).when(day > self.last).then(pl.lit(after))
        )


def span_of(
    rows_by_day: Mapping[date, int],
    purchases_by_day: Mapping[date, int],
    first: date | None,
    last: date | None,
) -> Span:
    """The days that belong together, by the numbers of rows on each; `first` and `last` are the recipe's word.

    A gap is too long where it is over 90 days and over ten times the shop's own (the 99th
    percentile of the gaps between its days). What lies beyond one is set apart where it is at most
    1 % of all rows and of all purchases, and so is a chain of single days at the end (`_before_chain`).
    ValueError where it is more and yet not a time of the shop's own: at least 5 % of the rows, less
    than two years away.
    """
    days = sorted(day for day in rows_by_day if (first or day) <= day <= (last or day))
    if not days:
        return Span(first or date.min, last or date.max, first is not None, last is not None)
    counts = np.array([(rows_by_day[day], purchases_by_day.get(day, 0)) for day in days])
    low, high = _together(days, counts, open_low=first is not None, open_high=last is not None)
    return Span(first or days[low], last or days[high], first is not None, last is not None)


def _together(
    days: list[date], counts: np.ndarray, *, open_low: bool, open_high: bool
) -> tuple[int, int]:
    """Positions of the first and the last day that are kept; what an open end has is kept whatever its date.

    `counts` has the rows and the purchases of each day, shape (n, 2).
    """
    low, high = 0, len(days) - 1
    totals = np.maximum(counts.sum(axis=0), 1)
    total = int(totals[0])
    if total < MIN_ROWS or len(days) < 2:
        return low, high
    gaps = np.diff([day.toordinal() for day in days])
    limit = max(MIN_GAP_DAYS, TIMES_OWN_GAP * float(np.quantile(gaps, 0.99, method="lower")))
    middle = int(np.searchsorted(np.cumsum(counts[:, 0]), total / 2))
    for place in np.flatnonzero(gaps > limit):
        is_before = place < middle
        beyond = counts[: place + 1] if is_before else counts[place + 1 :]
        if (open_low and is_before) or (open_high and not is_before):
            continue
        shares = beyond.sum(axis=0) / totals
        if shares.max() <= MAX_SET_APART and is_before:
            low = max(low, int(place) + 1)
        elif shares.max() <= MAX_SET_APART:
            high = min(high, int(place))
        elif shares[0] < MIN_EPOCH or gaps[place] > MAX_EPOCH_GAP_DAYS:
            raise ValueError(_question(days, int(place), int(beyond[:, 0].sum()), total, is_before))
    return low, high if open_high else _before_chain(np.cumsum(gaps), counts / totals, low, high)


def _before_chain(since_first: np.ndarray, shares: np.ndarray, low: int, high: int) -> int:
    """Position of the last day before a chain at the end of days too far apart for this shop, or `high`.

    A chain is over 90 days long and has at most 1 % of all rows and of all purchases. The gap before
    it, and its own on average, are over ten times as long as gaps on average were in the emptiest 90
    days before: a shop that rests every summer has no chain in a summer.
    """
    at = np.concatenate(([0], since_first))
    beyond = shares[::-1].cumsum(axis=0)[::-1].max(axis=1)  # of each day and all later ones
    for place in range(max(low + 1, int(np.searchsorted(-beyond, -MAX_SET_APART)) - 1), high):
        length = int(at[high] - at[place])
        stretch = min(MIN_GAP_DAYS, int(at[place] - at[low]))
        starts = at[low : place + 1][at[low : place + 1] <= at[place] - stretch]
        num_days = np.searchsorted(at, starts + stretch, "right") - np.searchsorted(
            at, starts, "right"
        )
        limit = TIMES_OWN_GAP * stretch / max(1, int(num_days.min()))
        is_sparse = min(at[place + 1] - at[place], length / (high - place)) > limit
        if is_sparse and length > MIN_GAP_DAYS:
            return place
    return high


def odd_dates(
    rows_by_day: Mapping[date, int], span: Span, sources: Sequence[Source]
) -> tuple[str | None, ...]:
    """What to tell of the days that are kept."""
    return (
        thin_end(rows_by_day, span),
        lonely_dates(rows_by_day, span),
        odd_years(rows_by_day, span, sources),
    )


def lonely_dates(rows_by_day: Mapping[date, int], span: Span) -> str | None:
    """What to tell of a gap of years among so few rows that nothing was set apart."""
    days = sorted(day for day in rows_by_day if span.first <= day <= span.last)
    total = sum(rows_by_day[day] for day in days)
    if total >= MIN_ROWS or len(days) < 2:
        return None
    gaps = np.diff([day.toordinal() for day in days])
    place = int(gaps.argmax())
    usual = float(np.delete(gaps, place).max(initial=0))
    if gaps[place] <= max(MAX_EPOCH_GAP_DAYS, TIMES_OWN_GAP * usual):
        return None
    before = sum(rows_by_day[day] for day in days[: place + 1])
    return (
        f"{before} rows are dated up to {days[place]}, and {total - before} from {days[place + 1]} on; of fewer than "
        f"{MIN_ROWS} rows none is set apart: say first_date or last_date where a year is mistyped"
    )


def thin_end(rows_by_day: Mapping[date, int], span: Span) -> str | None:
    """What to tell of a last month or more with hardly any rows, such as those of which day and month are swapped."""
    days = sorted(day for day in rows_by_day if span.first <= day <= span.last)
    counts = np.array([rows_by_day[day] for day in days])
    total = int(counts.sum())
    from_end = np.cumsum(counts[::-1])
    num_thin = int(np.searchsorted(from_end, MAX_SET_APART * total, side="right"))
    if span.last_is_given or total < MIN_ROWS or not 0 < num_thin < len(days):
        return None
    first, end, before = days[-num_thin], days[-1], days[-num_thin - 1]
    num_days = (end - before).days
    since = before - timedelta(days=num_days)
    usual = sum(rows_by_day[day] for day in days if since < day <= before) / num_days
    num_rows = int(from_end[num_thin - 1])
    if num_days < THIN_DAYS or num_rows > THIN * usual * num_days:
        return None
    return (
        f"only {num_rows} of {total} rows are dated after {before}, over {num_days} days: where day and month "
        f"are swapped in them, say last_date: {before} (the first of them is of {first})"
    )


def odd_years(rows_by_day: Mapping[date, int], span: Span, sources: Sequence[Source]) -> str | None:
    """What to tell of years that lie after the files were written, or that may be days of a month."""
    days = [day for day in rows_by_day if span.first <= day <= span.last]
    files = [file for source in sources for file in source_files(source)]
    if not days or not files:
        return None
    written = date.fromtimestamp(max(file.stat().st_mtime for file in files))
    if (max(days) - written).days > MAX_DAYS_AHEAD:
        return f"rows are dated up to {max(days)}, but no file was written after {written}: are years read right?"
    formats = [source.date_format for source in sources if "%y" in (source.date_format or "")]
    years = {day.year for day in days}
    days_of_month = {day.day for day in days}
    if formats and len(years) >= MIN_YEARS and len(days_of_month) <= MAX_DAYS_OF_MONTH:
        return (
            f"all rows of {len(years)} years are dated on day {sorted(days_of_month)} of a month; does "
            f"date_format {formats[0]!r} read days as years?"
        )
    return None


def _question(days: list[date], place: int, num_rows: int, total: int, is_before: bool) -> str:
    """What the recipe must say where rows lie far off and are too many to be set apart."""
    here, there = days[place], days[place + 1]
    key, day = ("first_date", there) if is_before else ("last_date", here)
    side = f"up to {here}" if is_before else f"from {there} on"
    return (
        f"{num_rows} of {total} rows are dated {side}, {(there - here).days} days away from the others: "
        f"say {key}: {day} to leave them out, or {key}: {days[0] if is_before else days[-1]} to keep them"
    )


def days_of(rows: pl.DataFrame) -> pl.DataFrame:
    """How many rows and how many purchases each `day` (UTC) has."""
    day = pl.col("occurred_at").dt.date().alias("day")
    return rows.group_by(day).agg(pl.len().alias("rows"), is_purchase().sum().alias("purchases"))
