"""report.html: the arena for people, with plots."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from training.report.customers import (
    attributes_section,
    examples_section,
    fits_section,
    groups_section,
    intervals_section,
    profit_section,
    segments_section,
    stages_section,
)
from training.report.models import (
    choice_grid,
    difference_grid,
    differences_grid,
    rank_grid,
    value_grid,
    with_interval,
)
from training.report.page import grid, image, mapping, new_figure, write_page
from training.report.plots import (
    COLORS,
    HISTORY,
    TENURE,
    calibration,
    calibration_over_time,
    error_by,
    gain_curve,
    scatter,
)
from training.report.verdict import verdict


def write_report(
    path: Path, metrics: Mapping[str, object], predictions: pl.DataFrame, test: pl.DataFrame | None
) -> None:
    """Write the page; `test` has the test customers with FEATURES, or is None without values."""
    sections = [("Verdict", verdict(metrics))]
    if test is not None:
        champion = str(metrics["champion"])
        best = predictions.filter(pl.col("model") == champion)
        sections += [
            (
                "Value: all models on the test customers",
                value_grid(mapping(metrics["models"]), champion),
            ),
            (
                "What the champion was chosen by",
                choice_grid(mapping(metrics["selection"]), champion),
            ),
            ("Is the champion really better? Paired 90 % intervals", differences_grid(metrics)),
            (
                "Gain and Lorenz curves: share of spend held by the customers predicted highest",
                gain_curve(predictions, champion),
            ),
            ("Calibration by decile", calibration(best, champion)),
            ("Predicted against actual", scatter(best, champion)),
            (
                "Error by length of history",
                error_by(predictions, test, *HISTORY) + error_by(predictions, test, *TENURE),
            ),
            ("Calibration over time", calibration_over_time(metrics, champion)),
            ("Intervals", intervals_section(mapping(metrics["intervals"]), champion)),
            (
                "Profit within the horizon: expected and actual, by part",
                profit_section(mapping(metrics["profit"]), mapping(metrics["costs"])),
            ),
            *_customers(mapping(metrics["customers"])),
        ]
    if metrics["btyd_fits"]:
        sections.append(
            (
                "How the buy-till-you-die models were fitted",
                fits_section(mapping(metrics["btyd_fits"])),
            )
        )
    if metrics["churn"]:
        sections.append(("Churn: who will buy nothing", _churn(mapping(metrics["churn"]))))
    if metrics["prospects"] and mapping(metrics["prospects"])["num_customers"]:
        sections.append(
            (
                "Customers who had not bought before the cutoff",
                _prospects(mapping(metrics["prospects"])),
            )
        )
    if metrics["fine_tuning"]:
        sections.append(("What fine-tuning bought", _fine_tuning(mapping(metrics["fine_tuning"]))))
    for task, groups in mapping(metrics["recommendation"]).items():
        for group, rows in mapping(groups).items():
            sections.append((f"Recommendation: {task}, {group}", rank_grid(mapping(rows))))
    window = "next item" if test is None else f"{metrics['cutoff']}, {metrics['horizon_days']} days"
    write_page(path, f"Evervalue arena: {window}", sections)


def _customers(found: Mapping[str, object]) -> list[tuple[str, str]]:
    sections = [
        ("Value segments", segments_section(found)),
        ("Stages, where they lead, and what to do", stages_section(found)),
        ("Ten customers: from revenue to value", examples_section(found)),
    ]
    if found["groups"]:
        sections.append(
            ("Hidden groups: whom the sequence encoder takes for alike", groups_section(found))
        )
    if found["attributes"]:
        sections.append(("Error and bias by attribute", attributes_section(found)))
    return sections


def _churn(found: Mapping[str, object]) -> str:
    """All models in a table, and whether the chosen one's probabilities came true."""
    models, chosen = mapping(found["models"]), str(found["model"])
    shown = ("auroc", "brier_skill", "bias")
    rows = []
    for name, row in models.items():
        values = mapping(row)
        rows.append(
            [
                name,
                with_interval(values["brier"], mapping(values["ci"])["brier"]),
                *(values[m] for m in shown),
            ]
        )
    calibration = mapping(mapping(models[chosen])["calibration"])
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot(calibration["predicted"], calibration["actual"], marker="o", color=COLORS[0])  # type: ignore[arg-type]
    axes.set_xlabel("probability of buying nothing, tenths of customers")
    axes.set_ylabel("share of each tenth that bought nothing")
    share = f"<p>{100 * float(str(found['share_left'])):.1f} % bought nothing. {chosen} serves: {found['rule']}.</p>"
    table_of_models = grid(["model", "brier", *shown], rows, chosen)
    return share + table_of_models + image(figure, f"calibration of churn by {chosen}")


def _prospects(found: Mapping[str, object]) -> str:
    rows = [[name, *mapping(found[name]).values()] for name in ("buyers", "spend")]
    counts = f"<p>{found['num_customers']} of them; rates of {found['num_train_rows']} rows at earlier cutoffs.</p>"
    return counts + grid(["within the horizon", "predicted", "actual"], rows)


def _fine_tuning(verdict: Mapping[str, object]) -> str:
    shown = ("mae", "rmse", "gini", "spearman", "bias")
    rows = [
        [name, *(mapping(row)[metric] for metric in shown)]
        for name, row in mapping(verdict["models"]).items()
    ]
    differences = {
        f"text_llama minus {name}": found
        for name, found in mapping(verdict["text_llama_minus"]).items()
    }
    return (
        f"<p>On a seeded sample of {verdict['num_customers']} test customers; "
        f"the linear probes were fitted on {verdict['num_probe_rows']} training rows.</p>"
        + grid(["model", *shown], rows)
        + "<p>Differences with 95 % intervals.</p>"
        + difference_grid(differences)
    )
