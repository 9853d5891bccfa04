"""Whether the intervals of all models are right."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.report.page import Cell, Paragraph, Picture, Section, Table, new_figure, picture
from training.report.plots import COLORS
from training.results.value import GroupCoverage, IntervalMetrics, IntervalResults

COLUMNS = (
    "coverage_80",
    "pit_coverage_80",
    "coverage_95",
    "pit_coverage_95",
    "interval_score_80",
    "constant_interval_score_80",
    "interval_score_95",
    "constant_interval_score_95",
)


def intervals_section(found: IntervalResults, champion: str) -> Section:
    """Coverage and sharpness of all models; whether the champion's distribution is right, also by group."""
    said = Paragraph(
        "Intervals are quantiles of what will happen. What is expected is a mean, which one very large order can "
        "lift above most of what will happen: it need not lie inside. "
        f"Those of {champion} were calibrated on the {found.calibrated_on} customers. "
        "pit_coverage is by the randomised probability integral transform: a closed interval around a customer who "
        "will probably spend nothing covers too often. The interval score counts width and misses, less is better; "
        "constant is that of intervals of one width for everybody."
    )
    rows = [[name, *_cells(model)] for name, model in found.models.items()]
    models = Table(["model", *COLUMNS], rows, champion)
    groups = Paragraph(
        "Where the intervals are right, pit_coverage of a group lies within its margin of 0.8 and 0.95: three "
        "points, or two standard errors where the group is small."
    )
    return Section(
        "Intervals",
        [
            said,
            models,
            _ranks(found.pit_shares, champion),
            groups,
            _groups("segment by predicted spend", found.segments),
            _groups("order days before the cutoff", found.history),
        ],
    )


def _groups(heading: str, groups: Mapping[str, GroupCoverage]) -> Table:
    rows: list[list[Cell]] = []
    for name, group in groups.items():
        cells: dict[str, int | float] = group.model_dump()
        rows.append([name, *cells.values()])
    return Table([heading, *GroupCoverage.model_fields], rows)


def _cells(model: IntervalMetrics) -> list[Cell]:
    return [getattr(model, column) for column in COLUMNS]


def _ranks(shares: Sequence[float], champion: str) -> Picture:
    """Level where the intervals are right."""
    figure = new_figure(height=2.6)
    axes = figure.subplots()
    num_bars = len(shares)
    centers = (np.arange(num_bars) + 0.5) / num_bars
    axes.bar(centers, shares, 0.9 / num_bars, color=COLORS[0])
    axes.axhline(1.0 / num_bars, color="grey", linewidth=0.8)
    axes.set_xlabel(f"where actual spend lies in the distribution predicted by {champion}")
    axes.set_ylabel("share of customers")
    return picture(
        figure, f"probability integral transform of {champion}, level where the intervals are right"
    )
