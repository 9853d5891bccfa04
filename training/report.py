"""report.html: the arena for people, with plots."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import polars as pl

from training.arena_stack import STACK_OVER_BUDGET
from training.page import Estimate, grid, image, mapping, new_figure, table, write_page
from training.report_customers import (
    attributes_section,
    examples_section,
    fits_section,
    groups_section,
    intervals_section,
    profit_section,
    segments_section,
    stages_section,
)
from training.report_plots import (
    COLORS,
    HISTORY,
    TENURE,
    calibration,
    calibration_over_time,
    error_by,
    gain_curve,
    scatter,
)

VALUE_METRICS = ("mae", "rmse", "r2", "spearman", "gini", "decile_mape", "top_decile_share", "bias",
                 "coverage_80", "coverage_95", "customers_per_second")  # fmt: skip
NOT_CLEAR = "not clear"
RANK_METRICS = ("hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers")


def write_report(
    path: Path, metrics: Mapping[str, object], predictions: pl.DataFrame, test: pl.DataFrame | None
) -> None:
    """Write the page; `test` has the test customers with FEATURES, or is None without values."""
    sections = [("Verdict", _verdict(metrics))]
    if test is not None:
        champion = str(metrics["champion"])
        best = predictions.filter(pl.col("model") == champion)
        sections += [
            ("Value: all models on the test customers", _value_grid(mapping(metrics["models"]), champion)),
            ("What the champion was chosen by", _choice(mapping(metrics["selection"]), champion)),
            ("Is the champion really better? Paired 90 % intervals", _differences(metrics)),
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
        sections.append(("How the buy-till-you-die models were fitted", fits_section(mapping(metrics["btyd_fits"]))))
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
        if metrics["refitted_at"]:
            until = f"to outcomes until {metrics['refitted_at']}; what is judged here knew them until the cutoff"
            rows["what serves"] = f"the same cheap models fitted again, {until}"
    return table(rows) + "".join(f"<p>{escape(sentence)}</p>" for sentence in _findings(metrics))


def _findings(metrics: Mapping[str, object]) -> list[str]:
    """What the tables below say in the end, in words: also where the champion is beaten, and what costs accuracy."""
    if not metrics["champion"]:
        return []
    champion, models = str(metrics["champion"]), mapping(metrics["models"])
    found = []
    for name, compared in mapping(metrics["champion_minus"]).items():
        better = [metric for metric, numbers in mapping(compared).items()
                  if isinstance(numbers, list) and _verdict_on(metric, numbers) == "worse"]  # fmt: skip
        bias = mapping(models[name])["bias"]
        if better:
            total = f"; its total is {bias:.2f} times the actual one" if isinstance(bias, float) else ""
            found.append(f"{name} is clearly better than {champion} in {', '.join(better)}{total}.")
    if not found and metrics["champion_minus"]:
        found = [f"No model is clearly better than {champion} in any metric compared."]
    if metrics["llama_gain"]:
        found.append(f"The stack with the LLaMA encoders against without: {_gains(mapping(metrics['llama_gain']))}.")
    if STACK_OVER_BUDGET in models:
        lost = mapping(mapping(metrics["champion_minus"])[STACK_OVER_BUDGET])
        found.append(f"The score budget keeps encoders out of the stack. {champion} against the stack with all of "
                     f"them: {_gains(lost)}.")  # fmt: skip
    left_out = mapping(mapping(metrics["selection"])["unsupported"])
    if champion in left_out:
        found.append(f"{champion} was chosen for want of others: {left_out[champion]}.")
    others = [name for name in left_out if name != champion]
    return found + [f"{name} was judged, but could not be chosen: {left_out[name]}." for name in others]


def _gains(compared: Mapping[str, object]) -> str:
    """`mae -1.2 (-2.0 to -0.4), better; ...` of differences and their paired intervals."""
    told = []
    for metric, numbers in compared.items():
        if isinstance(numbers, list):
            estimate, low, high = numbers
            told.append(f"{metric} {estimate:+.3g} ({low:+.3g} to {high:+.3g}), {_verdict_on(metric, numbers)}")
    if told and not any(any(numbers) for numbers in compared.values() if isinstance(numbers, list)):
        return "the same, since none has a share"
    return "; ".join(told) or "nothing can be told"


def _value_grid(models: Mapping[str, object], champion: str) -> str:
    """All metrics with their 95 % intervals."""
    rows: list[Sequence[object]] = []
    for name, entry in models.items():
        values = mapping(entry)
        ci = mapping(values["ci"])
        rows.append([name, *(_with_interval(values.get(metric), ci.get(metric)) for metric in VALUE_METRICS)])
    return grid(["model", *VALUE_METRICS], rows, champion)


def _choice(selection: Mapping[str, object], champion: str) -> str:
    """RMSE and bias of every model before the test cutoff, and which are clearly better than the stack there."""
    backtest, models = mapping(selection["backtest"] or {}), mapping(selection["models"])
    better = selection["clearly_better"]
    rows: list[Sequence[object]] = []
    for name, found in models.items():
        before, now = mapping(backtest.get(name, {})), mapping(found)
        is_better = "yes" if isinstance(better, list) and name in better else ""
        rows.append([name, before.get("rmse"), before.get("bias"), now["rmse"], now["bias"], is_better])
    header = ["model", "backtest RMSE", "backtest bias", "selection RMSE", "selection bias"]
    return grid([*header, "clearly better than the stack"], rows, champion)


def _differences(metrics: Mapping[str, object]) -> str:
    """The champion minus every other model, and what the LLaMA encoders add to the stack."""
    compared = {f"champion minus {name}": found for name, found in mapping(metrics["champion_minus"]).items()}
    if metrics["llama_gain"]:
        compared["stack minus stack_without_llama"] = metrics["llama_gain"]
    return _difference_grid(compared)


def _difference_grid(compared: Mapping[str, object]) -> str:
    """A row per pair of models, a column per metric; green where the first of the two is clearly better."""
    metrics = list(dict.fromkeys(metric for found in compared.values() for metric in mapping(found)))
    rows: list[list[object]] = []
    for label, found in compared.items():
        numbers = [mapping(found).get(metric) for metric in metrics]
        rows.append([label, *(_difference(metric, one) for metric, one in zip(metrics, numbers, strict=True))])
    said = "<p>Green: the first of the two is clearly better. Red: clearly worse.</p>"
    return said + grid(["difference", *metrics], rows)


def _difference(metric: str, numbers: object) -> Estimate | None:
    if not isinstance(numbers, list | tuple):
        return None
    value, low, high = numbers
    verdict = _verdict_on(metric, numbers)
    return Estimate(value, low, high, "" if verdict == NOT_CLEAR else verdict)


def _verdict_on(metric: str, numbers: Sequence[float]) -> str:
    """Whether the first of two models is better or worse by a difference and the ends of its interval."""
    _, low, high = numbers
    if low <= 0 <= high:
        return NOT_CLEAR
    return "better" if (high < 0) == (metric in ("mae", "rmse")) else "worse"


def _with_interval(value: object, interval: object) -> Estimate | None:
    if not isinstance(value, int | float):
        return None
    return Estimate(value, *(interval if isinstance(interval, list) else ()))


def _rank_grid(rows: Mapping[str, object]) -> str:
    cells = [[name, *(mapping(row)[metric] for metric in RANK_METRICS)] for name, row in rows.items()]
    return grid(["model", *RANK_METRICS], cells)


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
    rows = [[name, *(mapping(row)[metric] for metric in shown)] for name, row in mapping(verdict["models"]).items()]
    differences = {f"text_llama minus {name}": found for name, found in mapping(verdict["text_llama_minus"]).items()}
    return (
        f"<p>On a seeded sample of {verdict['num_customers']} test customers; "
        f"the linear probes were fitted on {verdict['num_probe_rows']} training rows.</p>"
        + grid(["model", *shown], rows)
        + "<p>Differences with 95 % intervals.</p>"
        + _difference_grid(differences)
    )
