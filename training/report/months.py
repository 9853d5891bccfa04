"""The months of a shop: which of them are whole, and what they say of season and trend."""

from calendar import month_abbr, month_name, monthrange
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from matplotlib.patches import Patch

from training.report.page import Picture, label_money, legend_above, new_figure, percent, picture
from training.report.words.models import listed
from training.results.quality import SalesGap

EARLIER = ("#a5b1c2", "#4b6584", "#f7b731", "#20bf6b", "#8854d0", "#fa8231")
NEWEST = "#3867d6"
CLOSED_DAYS = 2  # at the end of a month; shops are closed at week-ends
MAX_LABELS = 24


def partial_months(first: date, last: date) -> dict[str, str]:
    """The months at both ends of the data that these hold in part, such as 2017-01, and which days of them.

    Up to CLOSED_DAYS without an event do not make a month partial.
    """
    found: dict[str, list[str]] = {}
    if first.day > 1 + CLOSED_DAYS:
        found.setdefault(_key(first), []).append(f"from {first}")
    if last.day < monthrange(last.year, last.month)[1] - CLOSED_DAYS:
        found.setdefault(_key(last), []).append(f"until {last}")
    return {month: " ".join(told) for month, told in found.items()}


def gap_months(gaps: Sequence[SalesGap]) -> dict[str, str]:
    """The months in which nobody bought for weeks, such as 2017-01, and that this is why they are not whole."""
    found: dict[str, str] = {}
    for gap in gaps:
        first, last = date.fromisoformat(gap.first), date.fromisoformat(gap.last)
        for month in _all_months({_key(first): 0.0, _key(last): 0.0}):
            found[month] = "without purchases"
    return found


def since_gaps(months: Mapping[str, float], gaps: Sequence[SalesGap]) -> dict[str, float]:
    """The months behind the last of the gaps, which follow each other."""
    last = max(gap_months(gaps), default="")
    return {name: amount for name, amount in months.items() if name > last}


def _key(day: date) -> str:
    return f"{day:%Y-%m}"


def whole_months(revenue: Mapping[str, float], partial: Mapping[str, str]) -> dict[str, float]:
    """All whole months from the first to the last, in their order; without revenue they have none."""
    return {name: revenue.get(name, 0.0) for name in _all_months(revenue) if name not in partial}


def _all_months(revenue: Mapping[str, float]) -> list[str]:
    """From the first to the last with revenue."""
    if not revenue:
        return []
    first = _number(min(revenue))
    last = _number(max(revenue))
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(first, last + 1)]


def _number(month: str) -> int:
    return 12 * int(month[:4]) + int(month[5:]) - 1


def trend_words(months: Mapping[str, float]) -> str:
    """What whole months brought against the same months a year before: the last twelve that can be compared."""
    now = []
    before = []
    for month, amount in months.items():
        year_ago = f"{int(month[:4]) - 1:04d}{month[4:]}"
        if months.get(year_ago, 0.0) > 0:
            now.append(amount)
            before.append(months[year_ago])
    if not now:
        return "No whole month has the same month a year before it: growth and season cannot be told apart."
    now, before = now[-12:], before[-12:]
    change = sum(now) / sum(before) - 1.0
    way = "more" if change >= 0 else "less"
    which = "month" if len(now) == 1 else f"{len(now)} months"
    return f"The last {which} brought {percent(abs(change))} {way} than a year before."


def season_words(months: Mapping[str, float]) -> str:
    """The strongest and the weakest month of the year; from two years on without the trend."""
    if len(months) < 12:
        return f"The data hold {len(months)} whole months in a row, less than a year: the season is not known."
    is_one_year = len(months) < 24
    first = list(months)[-12] if is_one_year else next(iter(months))
    factors = _month_factors({name: months[name] for name in months if name >= first})
    if factors is None:
        return "The months brought nothing."
    strong, weak = int(np.argmax(factors)), int(np.argmin(factors))
    how = "" if is_one_year else ", the trend taken out"
    few = "Of one year alone, chance and trend are in that." if is_one_year else ""
    if 24 <= len(months) < 36:
        few = "Of two years, chance is in that."
    return (
        f"From {first} to {max(months)}{how}, {month_name[strong + 1]} brought {factors[strong]:.2f} times "
        f"the mean month, {month_name[weak + 1]} {factors[weak]:.2f} times. {few}"
    ).rstrip()


def _month_factors(months: Mapping[str, float]) -> np.ndarray | None:
    """January to December over their mean, (12,): of two years or more, each month over the mean of the year around it.

    The year around a month counts its first and last month half (classical decomposition, ratio to
    moving average). None where nothing came.
    """
    amounts = np.array(list(months.values()))
    calendar = np.array([int(name[5:]) - 1 for name in months])
    if len(amounts) > 12:
        around = np.convolve(amounts, np.array([0.5, *[1.0] * 11, 0.5]) / 12.0, "valid")
        amounts, calendar = amounts[6:-6] / np.where(around > 0, around, np.inf), calendar[6:-6]
    means = np.array([amounts[calendar == number].mean() for number in range(12)])
    return means / means.mean() if means.sum() > 0 else None


def partial_words(partial: Mapping[str, str]) -> str:
    """Which months are there in part; empty where all are whole."""
    if not partial:
        return ""
    told = [f"{month} ({days})" for month, days in partial.items()]
    verb = "is" if len(told) == 1 else "are"
    return f"The data hold a part of {listed(told)}, which {verb} not compared."


def revenue_bars(
    revenue: Mapping[str, float], partial: Mapping[str, str], currency: str
) -> Picture:
    """A bar per month in the order of time; hatched where the data hold the month in part."""
    months = _all_months(revenue)
    figure = new_figure()
    axes = figure.subplots()
    bars = axes.bar(range(len(months)), [revenue.get(name, 0.0) for name in months], color=NEWEST)
    for name, bar in zip(months, bars, strict=True):
        if name in partial:
            bar.set(facecolor="white", edgecolor=NEWEST, hatch="///")
    every = -(-len(months) // MAX_LABELS) if months else 1
    axes.set_xticks(range(0, len(months), every), months[::every], rotation=45, ha="right")
    label_money(axes, f"revenue a month ({currency})")
    if any(name in partial for name in months):
        hollow = Patch(facecolor="white", edgecolor=NEWEST, hatch="///", label="month in part")
        figure.legend(handles=[hollow], loc="outside upper right", fontsize=8)
    return picture(figure, f"revenue by month ({currency}), {_span(months)}")


def _span(months: Sequence[str]) -> str:
    return f"{months[0]} to {months[-1]}" if months else "none"


def months_over_years(
    revenue: Mapping[str, float], partial: Mapping[str, str], currency: str
) -> Picture:
    """A line per year from January to December, of the last seven; months held in part are hollow, and joined to none.

    Keys of `revenue` are such as 2017-01; `partial` says of some what of them is there.
    """
    figure = new_figure()
    axes = figure.subplots()
    years = sorted({month[:4] for month in revenue})[-len(EARLIER) - 1 :]
    colors = [*EARLIER[: len(years) - 1], NEWEST]
    for year, color in zip(years, colors, strict=True):
        axes.plot(range(12), _whole_of(year, revenue, partial), "o-", color=color, label=year)
        for name in partial:
            if name.startswith(year) and name in revenue:
                axes.plot(int(name[5:]) - 1, revenue[name], "o", mfc="white", color=color)
    axes.set_xticks(range(12), month_abbr[1:])
    axes.set_ylim(bottom=min(0.0, *revenue.values()))
    label_money(axes, f"revenue a month ({currency})")
    legend_above(figure, axes, columns=8)
    return picture(figure, f"revenue of the months of {listed(years)} over each other")


def _whole_of(year: str, revenue: Mapping[str, float], partial: Mapping[str, str]) -> list[float]:
    """Revenue of January to December, not a number where the data do not hold a month as a whole."""
    nothing = float("nan")
    names = [f"{year}-{number:02d}" for number in range(1, 13)]
    return [nothing if name in partial else revenue.get(name, nothing) for name in names]
