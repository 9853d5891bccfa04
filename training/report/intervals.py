"""Whether the intervals of all models are right."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.report.page import (
    Cell,
    Paragraph,
    Picture,
    Section,
    Table,
    new_figure,
    picture,
    share_cell,
)
from training.report.plots import COLORS
from training.report.words.models import in_sentence, model_words
from training.results.value import GroupCoverage, IntervalMetrics, IntervalResults

LEVELS = (80, 95)


def intervals_section(found: IntervalResults, champion: str, currency: str) -> Section:
    """Coverage and sharpness of all models; whether the champion's distribution is right, also by group."""
    said = Paragraph(
        "Intervals are quantiles of what will happen. What is expected is a mean, which one very large order can "
        "lift above most of what will happen: it need not lie inside. "
        f"Those of {in_sentence(champion)} were calibrated on the {found.calibrated_on} customers. "
        "Covered by PIT is by the randomised probability integral transform: a closed interval around a customer who "
        "will probably spend nothing covers too often. The interval score counts width and misses, less is better; "
        "beside it stands that of intervals of one width for everybody."
    )
    groups = Paragraph(
        "Where the intervals are right, what is covered by PIT lies within the margin of 80 and 95 %: three "
        "points, or two standard errors where the group is small."
    )
    by = {"segment by expected spend": found.segments, "order days before": found.history}
    return Section(
        "Intervals of single customers",
        [
            said,
            *(_of_level(found.models, level, champion, currency) for level in LEVELS),
            _ranks(found.pit_shares, champion),
            groups,
            *(_groups(heading, of_groups, champion) for heading, of_groups in by.items()),
        ],
    )


def _groups(heading: str, groups: Mapping[str, GroupCoverage], champion: str) -> Table:
    header = [heading, "customers"]
    for level in LEVELS:
        header += [f"in {level} % interval", f"{level} % by PIT", "margin"]
    rows = [[name, group.num_customers, *_covered(group)] for name, group in groups.items()]
    return Table(
        f"Customers in the intervals of {in_sentence(champion)}, by {heading}", header, rows
    )


def _covered(group: GroupCoverage) -> list[Cell]:
    cells: list[Cell] = []
    for level in LEVELS:
        for column in ("coverage", "pit_coverage", "margin"):
            cells.append(share_cell(getattr(group, f"{column}_{level}")))
    return cells


def _of_level(
    models: Mapping[str, IntervalMetrics], level: int, champion: str, currency: str
) -> Table:
    header = [
        "model",
        "covered",
        "covered by PIT",
        f"interval score ({currency})",
        f"of one width for all ({currency})",
    ]
    rows: list[list[Cell]] = [
        [model_words(name), *_cells(one, level)] for name, one in models.items()
    ]
    return Table(f"Intervals of {level} %", header, rows, model_words(champion))


def _cells(model: IntervalMetrics, level: int) -> list[Cell]:
    columns = ("coverage", "pit_coverage", "interval_score", "constant_interval_score")
    return [getattr(model, f"{column}_{level}") for column in columns]


def _ranks(shares: Sequence[float], champion: str) -> Picture:
    """Level where the intervals are right."""
    figure = new_figure(height=2.6)
    axes = figure.subplots()
    num_bars = len(shares)
    centers = (np.arange(num_bars) + 0.5) / num_bars
    axes.bar(centers, shares, 0.9 / num_bars, color=COLORS[0])
    axes.axhline(1.0 / num_bars, color="grey", linewidth=0.8)
    axes.set_xlabel(
        f"where actual spend lies in the distribution expected by {in_sentence(champion)}"
    )
    axes.set_ylabel("share of customers")
    return picture(
        figure,
        f"probability integral transform of {in_sentence(champion)}, level where the intervals are right",
    )
