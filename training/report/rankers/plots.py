"""What tells rankers apart: by length of history, by popularity of items, repeats against what is new."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes

from training.report.page import Picture, legend_above, new_figure, picture
from training.report.plots import COLORS
from training.report.words.models import model_words
from training.results.recommend import RankMetrics, RecallBy
from training.results.value import Interval

WHISKER = {"elinewidth": 0.8, "ecolor": "#2d3436", "capsize": 1.5}


def recall_bars(found: RecallBy, names: Sequence[str], unit: str, counted: str) -> Picture:
    """Bars by group, one per ranker, with 95 % intervals; `counted` are what a group is made of."""
    figure = new_figure(height=3.8)
    axes = figure.subplots()
    width = 0.8 / len(names)
    places = np.arange(len(found.groups))
    for index, (name, color) in enumerate(zip(names, cycle(COLORS), strict=False)):
        recalls = found.models[name]
        heights = [one.value or 0.0 for one in recalls]
        errors = both_ways([interval_reach(one.value, one.interval) for one in recalls])
        at = places + index * width
        label = model_words(name)
        axes.bar(at, heights, width, yerr=errors, label=label, color=color, error_kw=WHISKER)
    labels = [
        f"{group.replace(' to ', '–')}\n({count:,d})"
        for group, count in zip(found.groups, found.counted, strict=True)
    ]
    axes.set_xticks(places + 0.4 - width / 2, labels, fontsize=8)
    axes.set_xlabel(f"{unit}; in brackets the number of {counted}")
    axes.set_ylabel("recall at 20")
    axes.set_ylim(bottom=0.0)
    legend_above(figure, axes)
    return picture(figure, f"recall at 20 by {unit}")


def interval_reach(value: float | None, interval: Interval | None) -> tuple[float, float]:
    """How far an interval reaches below and above its value."""
    if value is None or interval is None:
        return 0.0, 0.0
    return max(value - interval[0], 0.0), max(interval[1] - value, 0.0)


def both_ways(reach: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Below all points and above all, as matplotlib wants it; lists, as it takes an array of one for a number."""
    return [list(ends) for ends in zip(*reach, strict=True)]


def repeat_explore(
    groups: Mapping[str, Mapping[str, RankMetrics]], names: Sequence[str]
) -> Picture:
    """Recall of items bought before beside that of items new to the customer, each on a scale of its own."""
    figure = new_figure(height=1.2 + 0.26 * len(names))
    repeat, explore = figure.subplots(1, 2, sharey=True)
    _recall_of(repeat, groups["repeat_items"], names, COLORS[0])
    _recall_of(explore, groups["new_items"], names, COLORS[3])
    repeat.set_yticks(range(len(names)), [model_words(name) for name in names])
    repeat.invert_yaxis()
    titles = {repeat: "repeat: items bought before", explore: "explore: items new to the customer"}
    for axes, title in titles.items():
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("recall at 20")
    return picture(
        figure, "repeat against explore: recall at 20 of items bought before and of new ones"
    )


def _recall_of(
    axes: Axes, models: Mapping[str, RankMetrics], names: Sequence[str], color: str
) -> None:
    values = [models[name].recall_at_20 or 0.0 for name in names]
    errors = [
        interval_reach(models[name].recall_at_20, models[name].ci.get("recall@20"))
        for name in names
    ]
    axes.barh(range(len(names)), values, 0.7, xerr=both_ways(errors), color=color, error_kw=WHISKER)
    axes.set_xlim(left=0.0)
