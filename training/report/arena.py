"""report.html: first what to do and why, then the arena for people, with plots."""

from pathlib import Path

import polars as pl

from lifecycle.features.standing import PAID
from lifecycle.names import BTYD_MODELS
from training.report.answer.season import season_parts
from training.report.answer.verdict import verdict_section
from training.report.answer.worth import answer_sections
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
    names_section,
    value_section,
)
from training.report.page import Paragraph, Part, Section, number, write_page
from training.report.plots import (
    calibration,
    error_by_orders,
    error_by_tenure,
    gain_curve,
    scatter,
    totals_over_time,
)
from training.report.profit import profit_section
from training.report.rankers.sections import ranker_sections
from training.report.recommend import recommendation_section
from training.report.router import router_sections
from training.report.words.models import capital, in_sentence
from training.results.arena import Results
from training.results.customers import Customers, Worth
from training.results.value import Selection

FEW_MODELS = 4  # whose bars can be told apart


def write_report(
    path: Path, results: Results, predictions: pl.DataFrame, test: pl.DataFrame | None
) -> None:
    """Write the page; `test` has the test customers with FEATURES, or is None without values."""
    sections = [*answer_sections(results), verdict_section(results)]
    if results.worth is not None and results.horizon_days is not None:
        parts = season_parts(results.worth, results.horizon_days)
        sections.append(Section("Season and trend", parts))
    evidence = []
    if test is not None:
        evidence += _value_sections(results, predictions, test)
    evidence += [*_other_sections(results), *_recommendation_sections(results)]
    evidence += ranker_sections(results)
    if results.models:
        evidence.append(names_section(list(results.models), _rankers(results)))
    if evidence:
        first = evidence[0]
        parts = [*_as_of(results), *_as_served(results), *first.parts]
        sections += [Section(first.heading, parts, "The evidence"), *evidence[1:]]
    write_page(path, _title(results), sections)


def _as_of(results: Results) -> list[Part]:
    """That the evidence is older than the answer, where it is."""
    if results.worth is None or results.worth.as_of == results.cutoff:
        return []
    return [
        Paragraph(
            f"The evidence is of the {number(results.num_customers)} test customers as they were on {results.cutoff}, "
            f"by models that knew nothing later. The answer above is of {results.worth.as_of}: "
            "a customer may stand in both with different numbers."
        )
    ]


def _as_served(results: Results) -> list[Part]:
    """That the champion is not judged alone, where customers have a standing."""
    if results.worth is None or not results.worth.standings or results.champion is None:
        return []
    return [
        Paragraph(
            f"{capital(in_sentence(results.champion))} is judged as it is served: where customers cancelled, paused or "
            "paid for a plan, that decides. All other models tell alone. So do all on the windows that the choice was "
            "made by: totals there are not those of the answer."
        )
    ]


def _rankers(results: Results) -> list[str]:
    """All that were judged, in their order."""
    groups = (group for task in results.recommendation.values() for group in task.values())
    return list(dict.fromkeys(name for group in groups for name in group))


def _title(results: Results) -> str:
    if results.worth is None:
        return "Evervalue: what customers buy next"
    return f"Evervalue: what customers are worth, {results.worth.as_of}"


def _value_sections(
    results: Results, predictions: pl.DataFrame, test: pl.DataFrame
) -> list[Section]:
    champion = results.champion
    selection = results.selection
    currency = results.currency
    if champion is None or selection is None or currency is None:
        return []
    sections = [
        value_section(results.models, champion, currency),
        choice_section(selection, champion, currency),
        differences_section(results, currency),
        Section("Totals, window by window", _totals(results, champion)),
        *_plot_sections(predictions, test, selection, champion, currency),
    ]
    if results.intervals:
        sections.append(intervals_section(results.intervals, champion, currency))
    if results.profit and results.costs:
        sections.append(profit_section(results.profit, results.costs, currency))
    if results.customers:
        sections += _customer_sections(results.customers, currency, results.cutoff)
    return sections


def _totals(results: Results, champion: str) -> list[Part]:
    return [totals_over_time(results.total_error, champion)] if results.total_error else []


def _plot_sections(
    predictions: pl.DataFrame,
    test: pl.DataFrame,
    selection: Selection,
    champion: str,
    currency: str,
) -> list[Section]:
    best = predictions.filter(pl.col("model") == champion)
    few = predictions.filter(pl.col("model").is_in(_few(selection, champion)))
    return [
        Section("Who holds the spend: gain and Lorenz curves", [gain_curve(predictions, champion)]),
        Section("Calibration by tenths of customers", [calibration(best, champion, currency)]),
        Section("Expected against actual spend", [scatter(best, champion, currency)]),
        Section(
            "Error by length of history",
            [error_by_orders(few, test, currency), error_by_tenure(few, test, currency)],
        ),
    ]


def _few(selection: Selection, champion: str) -> list[str]:
    """The champion and those of least error before the test; of the alike kinds of buy till you die the best."""
    windows = selection.backtest or selection.models
    ordered = sorted(windows, key=lambda name: windows[name].rmse)
    btyd = [name for name in ordered if name in BTYD_MODELS]
    others = [name for name in ordered if name != champion and name not in btyd[1:]]
    return [champion, *others][:FEW_MODELS]


def _customer_sections(found: Customers, currency: str, cutoff: str | None) -> list[Section]:
    sections = [
        segments_section(found.segments, currency),
        stages_section(found, cutoff),
        examples_section(found.examples, currency, cutoff),
    ]
    if found.groups:
        sections.append(groups_section(found.groups, currency))
    if found.attributes:
        sections.append(attributes_section(found.attributes, currency))
    return sections


def _other_sections(results: Results) -> list[Section]:
    """What is known only of some shops and recipes."""
    currency = results.currency or ""
    sections = []
    if results.btyd_fits:
        sections.append(fits_section(results.btyd_fits))
    if results.churn:
        sections.append(churn_section(results.churn, _has_plans(results.worth)))
    if results.prospects and results.prospects.num_customers:
        sections.append(prospects_section(results.prospects, currency))
    if results.fine_tuning:
        sections.append(fine_tuning_section(results.fine_tuning, currency))
    return sections


def _has_plans(worth: Worth | None) -> bool:
    return worth is not None and PAID in worth.standings


def _recommendation_sections(results: Results) -> list[Section]:
    """A section per task that anybody was judged on."""
    sections = [
        recommendation_section(task, groups)
        for task, groups in results.recommendation.items()
        if groups
    ]
    return sections + router_sections(results.recommender)
