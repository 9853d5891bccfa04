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
from training.report.words.models import model_words
from training.results.value import IntervalMetrics, IntervalResults

LEVELS = (80, 95)


def intervals_section(found: IntervalResults, champion: str, currency: str) -> Section:
    """Coverage and sharpness of all models, whether the champion's distribution is right, and its segments."""
    said = Paragraph(
        "Covered by PIT is by the randomised probability integral transform: a closed interval around a customer who "
        "will probably spend nothing covers too often. The interval score counts width and misses, less is better; "
        "beside it stands that of intervals of one width for everybody."
    )
    models = [_of_level(found.models, level, champion, currency) for level in LEVELS]
    segment_rows: list[list[Cell]] = [
        [
            name,
            segment.num_customers,
            share_cell(segment.coverage_80),
            share_cell(segment.coverage_95),
        ]
        for name, segment in found.segments.items()
    ]
    header = ["segment by expected spend", "customers", "in 80 % interval", "in 95 % interval"]
    caption = f"Customers in the intervals of {model_words(champion)}, by segment"
    segments = Table(caption, header, segment_rows)
    return Section(
        "Intervals of single customers",
        [said, *models, _ranks(found.pit_shares, champion), segments],
    )


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
        f"where actual spend lies in the distribution expected by {model_words(champion)}"
    )
    axes.set_ylabel("share of customers")
    return picture(
        figure,
        f"probability integral transform of {model_words(champion)}, level where the intervals are right",
    )
