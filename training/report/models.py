"""Tables of models: their metrics, what they were chosen by, their paired differences."""

from collections.abc import Mapping, Sequence

from training.report.page import Estimate, grid, mapping
from training.report.verdict import NOT_CLEAR, verdict_on

VALUE_METRICS = ("mae", "rmse", "r2", "spearman", "gini", "decile_mape", "top_decile_share", "bias",
                 "coverage_80", "coverage_95", "customers_per_second")  # fmt: skip
RANK_METRICS = ("hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers")


def value_grid(models: Mapping[str, object], champion: str) -> str:
    """All metrics with their 95 % intervals."""
    rows: list[Sequence[object]] = []
    for name, entry in models.items():
        values = mapping(entry)
        ci = mapping(values["ci"])
        rows.append(
            [name, *(with_interval(values.get(metric), ci.get(metric)) for metric in VALUE_METRICS)]
        )
    return grid(["model", *VALUE_METRICS], rows, champion)


def choice_grid(selection: Mapping[str, object], champion: str) -> str:
    """RMSE and bias of every model before the test cutoff, and which are clearly better than the stack there."""
    backtest, models = mapping(selection["backtest"] or {}), mapping(selection["models"])
    better = selection["clearly_better"]
    rows: list[Sequence[object]] = []
    for name, found in models.items():
        before, now = mapping(backtest.get(name, {})), mapping(found)
        is_better = "yes" if isinstance(better, list) and name in better else ""
        rows.append(
            [name, before.get("rmse"), before.get("bias"), now["rmse"], now["bias"], is_better]
        )
    header = ["model", "backtest RMSE", "backtest bias", "selection RMSE", "selection bias"]
    return grid([*header, "clearly better than the stack"], rows, champion)


def differences_grid(metrics: Mapping[str, object]) -> str:
    """The champion minus every other model, and what the LLaMA encoders add to the stack."""
    compared = {
        f"champion minus {name}": found
        for name, found in mapping(metrics["champion_minus"]).items()
    }
    if metrics["llama_gain"]:
        compared["stack minus stack_without_llama"] = metrics["llama_gain"]
    return difference_grid(compared)


def difference_grid(compared: Mapping[str, object]) -> str:
    """A row per pair of models, a column per metric; green where the first of the two is clearly better."""
    metrics = list(
        dict.fromkeys(metric for found in compared.values() for metric in mapping(found))
    )
    rows: list[list[object]] = []
    for label, found in compared.items():
        numbers = [mapping(found).get(metric) for metric in metrics]
        rows.append(
            [
                label,
                *(_difference(metric, one) for metric, one in zip(metrics, numbers, strict=True)),
            ]
        )
    said = "<p>Green: the first of the two is clearly better. Red: clearly worse.</p>"
    return said + grid(["difference", *metrics], rows)


def _difference(metric: str, numbers: object) -> Estimate | None:
    if not isinstance(numbers, list | tuple):
        return None
    value, low, high = numbers
    verdict = verdict_on(metric, numbers)
    return Estimate(value, low, high, "" if verdict == NOT_CLEAR else verdict)


def with_interval(value: object, interval: object) -> Estimate | None:
    if not isinstance(value, int | float):
        return None
    return Estimate(value, *(interval if isinstance(interval, list) else ()))


def rank_grid(rows: Mapping[str, object]) -> str:
    cells = [
        [name, *(mapping(row)[metric] for metric in RANK_METRICS)] for name, row in rows.items()
    ]
    return grid(["model", *RANK_METRICS], cells)
