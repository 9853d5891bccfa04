"""report.html: the arena for people, with plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from training.page import grid, image, new_figure, table, write_page
from training.report_customers import (
    attributes_section,
    examples_section,
    groups_section,
    intervals_section,
    mapping,
    segments_section,
    stages_section,
)

VALUE_METRICS = ("mae", "rmse", "r2", "spearman", "gini", "decile_mape", "top_decile_share", "bias",
                 "coverage_80", "coverage_95", "customers_per_second")  # fmt: skip
RANK_METRICS = ("hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers")
HISTORY = ("num_orders", [1.0, 4.0, 9.0, 19.0, 49.0], "number of orders before the cutoff")
TENURE = ("tenure_days", [30.0, 91.0, 182.0, 365.0, 730.0], "days since the first order")
COLORS = ("#3867d6", "#eb3b5a", "#20bf6b", "#f7b731", "#8854d0", "#4b6584", "#0fb9b1")


def write_report(
    path: Path, metrics: Mapping[str, object], predictions: pl.DataFrame, test: pl.DataFrame | None
) -> None:
    """Write the page; `test` has the test customers with FEATURES, or is None without values."""
    sections = [("Verdict", _verdict(metrics))]
    if test is not None:
        champion = str(metrics["champion"])
        best = predictions.filter(pl.col("model") == champion)
        sections += [
            ("Value: all models on the test customers", _value_grid(mapping(metrics["models"]))),
            ("What the champion was chosen by", _choice(mapping(metrics["selection"]))),
            ("Is the champion really better? Paired 90 % intervals", _differences(metrics)),
            (
                "Gain and Lorenz curves: share of spend held by the customers predicted highest",
                _gain_curve(predictions, champion),
            ),
            ("Calibration by decile", _calibration(best, champion)),
            ("Predicted against actual", _scatter(best, champion)),
            (
                "Error by length of history",
                _error_by(predictions, test, *HISTORY) + _error_by(predictions, test, *TENURE),
            ),
            ("Calibration over time", _calibration_over_time(metrics, champion)),
            ("Intervals", intervals_section(mapping(metrics["intervals"]), champion)),
            *_customers(mapping(metrics["customers"])),
        ]
    if metrics["churn"]:
        sections.append(("Churn: who will buy nothing", _churn(mapping(metrics["churn"]))))
    if metrics["prospects"] and mapping(metrics["prospects"])["num_customers"]:
        sections.append(("Customers who had not bought before the cutoff", _prospects(mapping(metrics["prospects"]))))
    if metrics["fine_tuning"]:
        sections.append(("What fine-tuning bought", _fine_tuning(mapping(metrics["fine_tuning"]))))
    for task, groups in mapping(metrics["recommendation"]).items():
        for group, rows in mapping(groups).items():
            sections.append((f"Recommendation: {task}, {group}", _rank_grid(mapping(rows))))
    window = "next item" if test is None else f"{metrics['cutoff']}, {metrics['horizon_days']} days"
    write_page(path, f"Evervalue arena: {window}", sections)


def _customers(found: Mapping[str, object]) -> list[tuple[str, str]]:
    sections = [
        ("Value segments", segments_section(found)),
        ("Stages, where they lead, and what to do", stages_section(found)),
        ("Ten customers: from revenue to value", examples_section(found)),
    ]
    if found["groups"]:
        sections.append(("Hidden groups: whom the sequence encoder takes for alike", groups_section(found)))
    if found["attributes"]:
        sections.append(("Error and bias by attribute", attributes_section(found)))
    return sections


def _verdict(metrics: Mapping[str, object]) -> str:
    rows = {"recommender": mapping(metrics["recommender"])["model"], "test customers": metrics["num_customers"]}
    if metrics["selection"]:
        selection = mapping(metrics["selection"])
        rule = f"{selection['rule']} ({selection['num_customers']} customers)"
        rows = {"champion for value": metrics["champion"], "chosen by": rule} | rows
    return table(rows)


def _value_grid(models: Mapping[str, object]) -> str:
    rows: list[Sequence[object]] = []
    for name, entry in models.items():
        values = mapping(entry)
        ci = mapping(values["ci"])
        cells = [_with_interval(values.get(metric), ci.get(metric)) for metric in VALUE_METRICS]
        rows.append([name, *cells])
    return grid(["model", *VALUE_METRICS], rows)


def _choice(selection: Mapping[str, object]) -> str:
    """RMSE and bias of every model before the test cutoff, where they were compared."""
    backtest, models = mapping(selection["backtest"] or {}), mapping(selection["models"])
    rows: list[Sequence[object]] = []
    for name, found in models.items():
        before, now = mapping(backtest.get(name, {})), mapping(found)
        rows.append([name, before.get("rmse"), before.get("bias"), now["rmse"], now["bias"]])
    return grid(["model", "backtest RMSE", "backtest bias", "selection RMSE", "selection bias"], rows)


def _differences(metrics: Mapping[str, object]) -> str:
    """The champion minus every other model, and what the LLaMA encoders add to the stack."""
    compared = {f"champion minus {name}": found for name, found in mapping(metrics["champion_minus"]).items()}
    if metrics["llama_gain"]:
        compared["stack minus stack_without_llama"] = metrics["llama_gain"]
    rows: list[Sequence[object]] = []
    for label, found in compared.items():
        for metric, numbers in mapping(found).items():
            if isinstance(numbers, list):
                rows.append([label, metric, *numbers, _verdict_on(metric, numbers)])
    return grid(["difference", "metric", "estimate", "low", "high", "verdict"], rows)


def _verdict_on(metric: str, numbers: Sequence[float]) -> str:
    """Whether the first of two models is better or worse by a difference and the ends of its interval."""
    _, low, high = numbers
    if low <= 0 <= high:
        return "not clear"
    return "better" if (high < 0) == (metric in ("mae", "rmse")) else "worse"


def _with_interval(value: object, interval: object) -> str:
    if not isinstance(value, int | float):
        return "–"
    digits = 1 if abs(value) >= 100 else 3
    if not isinstance(interval, list):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def _rank_grid(rows: Mapping[str, object]) -> str:
    cells = [[name, *(mapping(row)[metric] for metric in RANK_METRICS)] for name, row in rows.items()]
    return grid(["model", *RANK_METRICS], cells)


def _gain_curve(predictions: pl.DataFrame, champion: str) -> str:
    """Gain curves of all models, and how unequal spend is: Lorenz curves of actual and predicted spend."""
    figure = new_figure(height=4.0)
    axes, lorenz = figure.subplots(1, 2)
    names = predictions["model"].unique(maintain_order=True)
    styles = [style for style in ("-", ":", "-.") for _ in COLORS]
    for name, color, style in zip(names, COLORS * 3, styles, strict=False):
        rows = predictions.filter(pl.col("model") == name)
        actual, predicted = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
        share = _cumulative_share(actual, predicted)
        axes.plot(np.linspace(0, 1, len(share)), share, style, label=name, color=color)
        if name == champion:
            ideal = _cumulative_share(actual, actual)
            for of, label in ((actual, "actual"), (predicted, f"by {champion}")):
                lorenz.plot(np.linspace(0, 1, len(of) + 1), _cumulative_share(of, -of), label=label)
    axes.plot(np.linspace(0, 1, len(ideal)), ideal, label="perfect", color="black", linestyle="--")
    for place, order in ((axes, "highest prediction first"), (lorenz, "lowest spend first")):
        place.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        place.set_xlabel(f"share of customers, {order}")
        place.legend(fontsize=7)
    axes.set_ylabel("share of actual spend")
    lorenz.set_ylabel("share of spend")
    return image(figure, "gain curves of all models, and Lorenz curves")


def _cumulative_share(actual: np.ndarray, score: np.ndarray) -> np.ndarray:
    ordered = actual[np.argsort(-score, kind="stable")]
    return np.concatenate([[0.0], np.cumsum(ordered) / max(ordered.sum(), 1e-9)])


def _calibration(rows: pl.DataFrame, name: str) -> str:
    order = np.argsort(rows["predicted"].to_numpy(), kind="stable")
    parts = np.array_split(order, min(10, len(order)))
    predicted = [rows["predicted"].to_numpy()[part].mean() for part in parts]
    actual = [rows["actual"].to_numpy()[part].mean() for part in parts]
    figure = new_figure()
    axes = figure.subplots()
    positions = np.arange(len(parts))
    axes.bar(positions - 0.2, predicted, 0.4, label=f"predicted by {name}", color=COLORS[0])
    axes.bar(positions + 0.2, actual, 0.4, label="actual", color=COLORS[3])
    axes.set_xticks(positions, [str(number + 1) for number in positions])
    axes.set_xlabel("decile of the prediction, lowest first")
    axes.set_ylabel("mean spend")
    axes.legend()
    return image(figure, f"calibration of {name} by decile")


def _scatter(rows: pl.DataFrame, name: str) -> str:
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    shown = rows.sample(min(2000, rows.height), seed=0)
    axes.scatter(shown["predicted"].to_numpy() + 1, shown["actual"].to_numpy() + 1, s=6, alpha=0.4, color=COLORS[0])
    top = float(max(rows["predicted"].max() or 0, rows["actual"].max() or 0)) + 1  # type: ignore[arg-type]
    axes.plot([1, top], [1, top], color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"predicted by {name} + 1")
    axes.set_ylabel("actual + 1")
    return image(figure, f"predicted by {name} against actual spend")


def _error_by(predictions: pl.DataFrame, test: pl.DataFrame, column: str, edges: list[float], unit: str) -> str:
    """Mean absolute error of all models by groups of a column of the examples, up to each edge and above the last."""
    labels = [*(f"up to {edge:g}" for edge in edges), f"over {edges[-1]:g}"]
    group = np.array(labels)[np.searchsorted(edges, test[column].to_numpy())]
    joined = predictions.join(test.select("customer_id", pl.Series("group", group)), on="customer_id")
    error = (pl.col("predicted") - pl.col("actual")).abs().mean().alias("error")
    figure = new_figure(height=3.6)
    axes = figure.subplots()
    names = predictions["model"].unique(maintain_order=True).to_list()
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        errors = dict(joined.filter(pl.col("model") == name).group_by("group").agg(error).iter_rows())
        heights = [errors.get(label, 0.0) for label in labels]
        axes.bar(np.arange(len(labels)) + index * width, heights, width, label=name, color=(COLORS * 3)[index])
    axes.set_xticks(np.arange(len(labels)) + 0.4 - width / 2, labels)
    axes.set_xlabel(unit)
    axes.set_ylabel("mean absolute error")
    axes.legend(fontsize=7)
    return image(figure, f"mean absolute error by {unit}")


def _calibration_over_time(metrics: Mapping[str, object], champion: str) -> str:
    """Predicted over actual spend of the champion at each window it was judged on, with 95 % intervals."""
    selection, test = mapping(metrics["selection"]), mapping(mapping(metrics["models"])[champion])
    windows = {
        "backtest": mapping(selection["backtest"] or {}).get(champion),
        "selection customers": mapping(selection["models"]).get(champion),
        "test": {"bias": test["bias"], "bias_interval": mapping(test["ci"]).get("bias")},
    }
    figure = new_figure(5.0, 2.6)
    axes = figure.subplots()
    for place, (name, found) in enumerate(windows.items()):
        values = mapping(found or {})
        bias, interval = values.get("bias"), values.get("bias_interval")
        if isinstance(bias, float) and isinstance(interval, list | tuple):
            axes.errorbar(
                place,
                bias,
                [[max(bias - interval[0], 0.0)], [max(interval[1] - bias, 0.0)]],
                fmt="o",
                color=COLORS[0],
                label=name,
            )
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(windows)), list(windows))
    axes.set_ylabel("predicted / actual spend")
    return image(figure, f"predicted over actual spend of {champion} over time")


def _churn(found: Mapping[str, object]) -> str:
    """All models in a table, and whether the chosen one's probabilities came true."""
    models, chosen = mapping(found["models"]), str(found["model"])
    shown = ("auroc", "brier_skill", "bias")
    rows = []
    for name, row in models.items():
        values = mapping(row)
        rows.append(
            [name, _with_interval(values["brier"], mapping(values["ci"])["brier"]), *(values[m] for m in shown)]
        )
    calibration = mapping(mapping(models[chosen])["calibration"])
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot(calibration["predicted"], calibration["actual"], marker="o", color=COLORS[0])  # type: ignore[arg-type]
    axes.set_xlabel(f"probability of buying nothing by {chosen}, mean of a tenth of the customers")
    axes.set_ylabel("share of them who bought nothing")
    share = f"<p>{100 * float(str(found['share_left'])):.1f} % bought nothing. {chosen} serves: {found['rule']}.</p>"
    table_of_models = grid(["model", "brier", *shown], rows)
    return share + table_of_models + image(figure, f"calibration of churn by {chosen}")


def _prospects(found: Mapping[str, object]) -> str:
    rows = [[name, *mapping(found[name]).values()] for name in ("buyers", "spend")]
    counts = f"<p>{found['num_customers']} of them; rates of {found['num_train_rows']} rows at earlier cutoffs.</p>"
    return counts + grid(["within the horizon", "predicted", "actual"], rows)


def _fine_tuning(verdict: Mapping[str, object]) -> str:
    shown = ("mae", "rmse", "gini", "spearman", "bias")
    rows = [[name, *(mapping(row)[metric] for metric in shown)] for name, row in mapping(verdict["models"]).items()]
    differences = []
    for name, metrics in mapping(verdict["text_llama_minus"]).items():
        for metric, numbers in mapping(metrics).items():
            if isinstance(numbers, list | tuple):
                verdict_on = _verdict_on(metric, numbers)
                differences.append([f"text_llama minus {name}", metric, *numbers, verdict_on])
    return (
        f"<p>On a seeded sample of {verdict['num_customers']} test customers; "
        f"the linear probes were fitted on {verdict['num_probe_rows']} training rows.</p>"
        + grid(["model", *shown], rows)
        + grid(["difference", "metric", "estimate", "low", "high", "verdict by 95 % interval"], differences)
    )
