"""Plots of report.html on how well the value models predict."""

from itertools import cycle

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from training.report.page import Picture, label_money, legend_above, new_figure, picture
from training.report.words.models import in_sentence, model_words
from training.results.value import Interval, TotalError

ORDER_EDGES = (1.0, 4.0, 9.0, 19.0, 49.0)
TENURE_EDGES = (30.0, 91.0, 182.0, 365.0, 730.0)  # days
NUM_PARTS = 10  # of customers in the order of their prediction
NUM_POINTS = 2000
COLORS = (
    "#3867d6",
    "#eb3b5a",
    "#20bf6b",
    "#f7b731",
    "#8854d0",
    "#4b6584",
    "#0fb9b1",
    "#fa8231",
    "#a5b1c2",
    "#8b5a2b",
    "#e77fb3",
    "#2d3436",
)  # as many as there are models of value


def gain_curve(predictions: pl.DataFrame, champion: str) -> Picture:
    """Gain curves of all models, and how unequal spend is: Lorenz curves of actual and predicted spend."""
    figure = new_figure(height=4.6)
    gains, lorenz = figure.subplots(1, 2)
    names = predictions["model"].unique(maintain_order=True)
    for name, color in zip(names, cycle(COLORS), strict=False):
        actual, predicted = _spend(predictions.filter(pl.col("model") == name))
        share = _cumulative_share(actual, predicted)
        width = 2.4 if name == champion else 1.2
        gains.plot(_steps(share), share, label=model_words(name), color=color, linewidth=width)
    actual, predicted = _spend(predictions.filter(pl.col("model") == champion))
    perfect = _cumulative_share(actual, actual)
    gains.plot(_steps(perfect), perfect, label="perfect", color="black", linestyle="--")
    for spend, label in ((actual, "actual"), (predicted, f"expected by {in_sentence(champion)}")):
        share = _cumulative_share(spend, -spend)
        lorenz.plot(_steps(share), share, label=label)
    for axes, order in ((gains, "highest prediction first"), (lorenz, "lowest spend first")):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        axes.set_xlabel(f"share of customers, {order}")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    legend_above(figure, gains, columns=5)
    lorenz.legend(fontsize=8, loc="upper left")  # Lorenz curves lie below the diagonal
    gains.set_ylabel("share of actual spend")
    lorenz.set_ylabel("share of spend")
    return picture(figure, "gain curves of all models, and Lorenz curves")


def _spend(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Actual and predicted, each (n,)."""
    return rows["actual"].to_numpy(), rows["predicted"].to_numpy()


def _cumulative_share(actual: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Of `actual` (n,), by the highest score first, from 0 to 1, shape (n + 1,)."""
    ordered = actual[np.argsort(-score, kind="stable")]
    return np.concatenate([[0.0], np.cumsum(ordered) / max(ordered.sum(), 1e-9)])


def _steps(share: np.ndarray) -> np.ndarray:
    return np.linspace(0, 1, len(share))


def calibration(rows: pl.DataFrame, name: str, currency: str) -> Picture:
    """Mean predicted and actual spend by decile of the prediction."""
    actual, predicted = _spend(rows)
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, min(NUM_PARTS, len(order)))
    expected = [predicted[part].mean() for part in parts]
    came = [actual[part].mean() for part in parts]
    figure = new_figure()
    axes = figure.subplots()
    positions = np.arange(len(parts))
    told = f"expected by {in_sentence(name)}"
    axes.bar(positions - 0.2, expected, 0.4, label=told, color=COLORS[0])
    axes.bar(positions + 0.2, came, 0.4, label="actual", color=COLORS[3])
    for position in range(len(parts)):
        _label_ratio(axes, position, expected[position], came[position])
    axes.set_xticks(positions, [str(position + 1) for position in positions])
    axes.set_xlabel("tenths of customers, least expected spend first; above them expected / actual")
    axes.margins(y=0.12)  # room for the ratio above the highest bar
    label_money(axes, f"mean spend ({currency})")
    legend_above(figure, axes)
    return picture(figure, f"calibration of {in_sentence(name)} by tenths of customers")


def _label_ratio(axes: Axes, position: int, expected: float, came: float) -> None:
    """Above the higher of two bars."""
    ratio = f"{expected / came:.2f}" if came > 0 else ""
    top = (position, max(expected, came))
    axes.annotate(ratio, top, (0, 2), textcoords="offset points", ha="center", size=8)


def scatter(rows: pl.DataFrame, name: str, currency: str) -> Picture:
    """Predicted against actual spend of a sample, on logarithmic scales."""
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    shown = rows.sample(min(NUM_POINTS, rows.height), seed=0)
    actual, predicted = _spend(shown)
    axes.scatter(predicted + 1, actual + 1, s=6, alpha=0.4, color=COLORS[0])
    top = float(np.max(_spend(rows), initial=0.0)) + 1
    axes.plot([1, top], [1, top], color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"expected by {in_sentence(name)} + 1 ({currency})")
    axes.set_ylabel(f"actual + 1 ({currency})")
    return picture(figure, f"spend expected by {in_sentence(name)} against actual spend")


def error_by_orders(predictions: pl.DataFrame, test: pl.DataFrame, currency: str) -> Picture:
    """Mean absolute error of some models by how often customers had bought."""
    group = _groups(test["num_orders"], ORDER_EDGES)
    return _error_by(predictions, group, test, "number of orders before the cutoff", currency)


def error_by_tenure(predictions: pl.DataFrame, test: pl.DataFrame, currency: str) -> Picture:
    """Mean absolute error of some models by how long customers had been there."""
    group = _groups(test["tenure_days"], TENURE_EDGES)
    return _error_by(predictions, group, test, "days since the first order", currency)


def _groups(values: pl.Series, edges: tuple[float, ...]) -> pl.Series:
    """Of each customer, up to which edge its value lies, or above the last; (n,), in the order of the edges."""
    labels = [*(f"up to {edge:g}" for edge in edges), f"over {edges[-1]:g}"]
    place = np.searchsorted(edges, values.to_numpy())
    return pl.Series("group", np.array(labels)[place]).cast(pl.Enum(labels))


def _error_by(
    predictions: pl.DataFrame, group: pl.Series, test: pl.DataFrame, unit: str, currency: str
) -> Picture:
    """Bars by group, one per model."""
    joined = predictions.join(test.select("customer_id", group), on="customer_id")
    labels = group.unique().sort().cast(pl.String).to_list()
    names = predictions["model"].unique(maintain_order=True).to_list()
    figure = new_figure(height=3.6)
    axes = figure.subplots()
    width = 0.8 / len(names)
    for index, (name, color) in enumerate(zip(names, cycle(COLORS), strict=False)):
        errors = _errors(joined.filter(pl.col("model") == name))
        heights = [errors.get(label, 0.0) for label in labels]
        places = np.arange(len(labels)) + index * width
        axes.bar(places, heights, width, label=model_words(name), color=color)
    axes.set_xticks(np.arange(len(labels)) + 0.4 - width / 2, labels)
    axes.set_xlabel(unit)
    label_money(axes, f"mean absolute error ({currency})")
    legend_above(figure, axes)
    return picture(figure, f"mean absolute error by {unit}")


def _errors(rows: pl.DataFrame) -> dict[str, float]:
    """Mean absolute error by group."""
    error = (pl.col("predicted") - pl.col("actual")).abs().mean()
    return dict(rows.group_by("group").agg(error).iter_rows())


def totals_over_time(found: TotalError, champion: str) -> Picture:
    """Expected over actual total of the champion in each window it was judged on, with 95 % intervals."""
    figure = new_figure(6.0, 2.8)
    axes = figure.subplots()
    for place, window in enumerate(found.windows):
        _bias_bar(axes, place, window.bias, window.bias_interval)
    axes.axhline(1.0, color="grey", linewidth=0.8)
    labels = [f"{one.window}\n{one.cutoff} to\n{one.until}" for one in found.windows]
    axes.set_xticks(range(len(labels)), labels)
    axes.margins(x=0.3)
    axes.set_ylabel("expected / actual spend")
    return picture(
        figure, f"total expected by {in_sentence(champion)} over the actual one, by window"
    )


def _bias_bar(axes: Axes, place: int, bias: float | None, interval: Interval | None) -> None:
    if bias is None:
        return
    low, high = interval or (bias, bias)
    lengths = [[max(bias - low, 0.0)], [max(high - bias, 0.0)]]
    axes.errorbar(place, bias, lengths, fmt="o", color=COLORS[0])
