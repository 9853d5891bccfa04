"""Plots of report.html on how well the value models predict."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import polars as pl

from training.report.page import image, mapping, new_figure

HISTORY = ("num_orders", [1.0, 4.0, 9.0, 19.0, 49.0], "number of orders before the cutoff")
TENURE = ("tenure_days", [30.0, 91.0, 182.0, 365.0, 730.0], "days since the first order")
COLORS = ("#3867d6", "#eb3b5a", "#20bf6b", "#f7b731", "#8854d0", "#4b6584", "#0fb9b1", "#fa8231", "#a5b1c2", "#8b5a2b",
          "#e77fb3", "#2d3436")  # fmt: skip  # as many as there are models of value


def gain_curve(predictions: pl.DataFrame, champion: str) -> str:
    """Gain curves of all models, and how unequal spend is: Lorenz curves of actual and predicted spend."""
    figure = new_figure(height=4.0)
    axes, lorenz = figure.subplots(1, 2)
    names = predictions["model"].unique(maintain_order=True)
    for name, color in zip(names, cycle(COLORS), strict=False):
        rows = predictions.filter(pl.col("model") == name)
        actual, predicted = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
        share = _cumulative_share(actual, predicted)
        width = 2.4 if name == champion else 1.2
        axes.plot(np.linspace(0, 1, len(share)), share, label=name, color=color, linewidth=width)
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


def calibration(rows: pl.DataFrame, name: str) -> str:
    order = np.argsort(rows["predicted"].to_numpy(), kind="stable")
    parts = np.array_split(order, min(10, len(order)))
    predicted = [rows["predicted"].to_numpy()[part].mean() for part in parts]
    actual = [rows["actual"].to_numpy()[part].mean() for part in parts]
    figure = new_figure()
    axes = figure.subplots()
    positions = np.arange(len(parts))
    axes.bar(positions - 0.2, predicted, 0.4, label=f"predicted by {name}", color=COLORS[0])
    axes.bar(positions + 0.2, actual, 0.4, label="actual", color=COLORS[3])
    for position, expected, came in zip(positions, predicted, actual, strict=True):
        ratio = f"{expected / came:.2f}" if came > 0 else ""
        axes.annotate(
            ratio,
            (position, max(expected, came)),
            (0, 2),
            textcoords="offset points",
            ha="center",
            size=8,
        )
    axes.set_xticks(positions, [str(number + 1) for number in positions])
    axes.set_xlabel("decile of the prediction, lowest first; above it predicted / actual")
    axes.set_ylabel("mean spend")
    axes.legend()
    return image(figure, f"calibration of {name} by decile")


def scatter(rows: pl.DataFrame, name: str) -> str:
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    shown = rows.sample(min(2000, rows.height), seed=0)
    axes.scatter(
        shown["predicted"].to_numpy() + 1,
        shown["actual"].to_numpy() + 1,
        s=6,
        alpha=0.4,
        color=COLORS[0],
    )
    top = float(max(rows["predicted"].max() or 0, rows["actual"].max() or 0)) + 1  # type: ignore[arg-type]
    axes.plot([1, top], [1, top], color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"predicted by {name} + 1")
    axes.set_ylabel("actual + 1")
    return image(figure, f"predicted by {name} against actual spend")


def error_by(
    predictions: pl.DataFrame, test: pl.DataFrame, column: str, edges: list[float], unit: str
) -> str:
    """Mean absolute error of all models by groups of a column of the examples, up to each edge and above the last."""
    labels = [*(f"up to {edge:g}" for edge in edges), f"over {edges[-1]:g}"]
    group = np.array(labels)[np.searchsorted(edges, test[column].to_numpy())]
    labels = [label for label in labels if label in group]
    joined = predictions.join(
        test.select("customer_id", pl.Series("group", group)), on="customer_id"
    )
    error = (pl.col("predicted") - pl.col("actual")).abs().mean().alias("error")
    figure = new_figure(height=3.6)
    axes = figure.subplots()
    names = predictions["model"].unique(maintain_order=True).to_list()
    width = 0.8 / len(names)
    for index, (name, color) in enumerate(zip(names, cycle(COLORS), strict=False)):
        errors = dict(
            joined.filter(pl.col("model") == name).group_by("group").agg(error).iter_rows()
        )
        heights = [errors.get(label, 0.0) for label in labels]
        axes.bar(np.arange(len(labels)) + index * width, heights, width, label=name, color=color)
    axes.set_xticks(np.arange(len(labels)) + 0.4 - width / 2, labels)
    axes.set_xlabel(unit)
    axes.set_ylabel("mean absolute error")
    axes.legend(fontsize=7)
    return image(figure, f"mean absolute error by {unit}")


def calibration_over_time(metrics: Mapping[str, object], champion: str) -> str:
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
