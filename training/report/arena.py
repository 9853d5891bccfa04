"""report.html: the arena for people, with plots."""

from pathlib import Path

import polars as pl

from training.report.churn import churn_section
from training.report.customers import (
    attributes_section,
    groups_section,
    prospects_section,
    segments_section,
    stages_section,
)
from training.report.examples import examples_section
from training.report.intervals import intervals_section
from training.report.models import (
    choice_section,
    differences_section,
    fine_tuning_section,
    fits_section,
    rank_table,
    value_section,
)
from training.report.page import Section, write_page
from training.report.plots import (
    calibration,
    calibration_over_time,
    error_by_orders,
    error_by_tenure,
    gain_curve,
    scatter,
)
from training.report.profit import profit_section
from training.report.verdict import verdict_section
from training.results.arena import Results
from training.results.customers import Customers


def write_report(
    path: Path, results: Results, predictions: pl.DataFrame, test: pl.DataFrame | None
) -> None:
    """Write the page; `test` has the test customers with FEATURES, or is None without values."""
    sections = [verdict_section(results)]
    window = "next item"
    if test is not None:
        sections += _value_sections(results, predictions, test)
        window = f"{results.cutoff}, {results.horizon_days} days"
    sections += [*_other_sections(results), *_recommendation_sections(results)]
    write_page(path, f"Evervalue arena: {window}", sections)


def _value_sections(
    results: Results, predictions: pl.DataFrame, test: pl.DataFrame
) -> list[Section]:
    champion = results.champion
    selection = results.selection
    if champion is None or selection is None:
        return []
    best = predictions.filter(pl.col("model") == champion)
    sections = [
        value_section(results.models, champion),
        choice_section(selection, champion),
        differences_section(results),
        Section(
            "Gain and Lorenz curves: share of spend held by the customers predicted highest",
            [gain_curve(predictions, champion)],
        ),
        Section("Calibration by decile", [calibration(best, champion)]),
        Section("Predicted against actual", [scatter(best, champion)]),
        Section(
            "Error by length of history",
            [error_by_orders(predictions, test), error_by_tenure(predictions, test)],
        ),
        Section(
            "Calibration over time",
            [calibration_over_time(selection, results.models[champion], champion)],
        ),
    ]
    if results.intervals:
        sections.append(intervals_section(results.intervals, champion))
    if results.profit and results.costs:
        sections.append(profit_section(results.profit, results.costs))
    if results.customers:
        sections += _customer_sections(results.customers)
    return sections


def _customer_sections(found: Customers) -> list[Section]:
    sections = [
        segments_section(found.segments),
        stages_section(found),
        examples_section(found.examples),
    ]
    if found.groups:
        sections.append(groups_section(found.groups))
    if found.attributes:
        sections.append(attributes_section(found.attributes))
    return sections


def _other_sections(results: Results) -> list[Section]:
    """What is known only of some shops and recipes."""
    sections = []
    if results.btyd_fits:
        sections.append(fits_section(results.btyd_fits))
    if results.churn:
        sections.append(churn_section(results.churn))
    if results.prospects and results.prospects.num_customers:
        sections.append(prospects_section(results.prospects))
    if results.fine_tuning:
        sections.append(fine_tuning_section(results.fine_tuning))
    return sections


def _recommendation_sections(results: Results) -> list[Section]:
    """A section per task and group of customers."""
    sections = []
    for task, groups in results.recommendation.items():
        for group, models in groups.items():
            sections.append(Section(f"Recommendation: {task}, {group}", [rank_table(models)]))
    return sections
