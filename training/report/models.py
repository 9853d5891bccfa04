"""Tables of models: their metrics, what they were chosen by, their paired differences, their fits."""

from collections.abc import Mapping, Sequence
from itertools import chain

from lifecycle.btyd.likelihood import FitReport
from lifecycle.metrics.value import PAIRED_METRICS
from training.report.page import Cell, Estimate, Paragraph, Section, Table
from training.report.verdict import NOT_CLEAR, verdict_on
from training.results.arena import Results
from training.results.recommend import RankMetrics
from training.results.value import (
    BtydFit,
    Difference,
    Differences,
    FineTuning,
    Interval,
    ModelMetrics,
    Selection,
    SpendMetrics,
)

VALUE_METRICS = (*PAIRED_METRICS, "coverage_80", "coverage_95", "customers_per_second")
FINE_TUNING_METRICS = ("mae", "rmse", "gini", "spearman", "bias")
RANK_METRICS = ("hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers")


def value_section(models: Mapping[str, ModelMetrics], champion: str) -> Section:
    """All metrics with their 95 % intervals."""
    rows = [[name, *_estimates(model)] for name, model in models.items()]
    table = Table(["model", *VALUE_METRICS], rows, champion)
    return Section("Value: all models on the test customers", [table])


def _estimates(model: ModelMetrics) -> list[Estimate | None]:
    return [with_interval(getattr(model, name), model.ci.get(name)) for name in VALUE_METRICS]


def with_interval(value: float | None, interval: Interval | None) -> Estimate | None:
    """A cell with the ends of its interval, where they are known."""
    if value is None:
        return None
    return Estimate(value, *(interval or ()))


def choice_section(selection: Selection, champion: str) -> Section:
    """RMSE and bias of every model before the test cutoff, and which are clearly better than the stack there."""
    header = [
        "model",
        "backtest RMSE",
        "backtest bias",
        "selection RMSE",
        "selection bias",
        "clearly better than the stack",
    ]
    rows = [_choice_row(selection, name) for name in selection.models]
    return Section("What the champion was chosen by", [Table(header, rows, champion)])


def _choice_row(selection: Selection, name: str) -> list[Cell]:
    now = selection.models[name]
    before = (selection.backtest or {}).get(name)
    return [
        name,
        before.rmse if before else None,
        before.bias if before else None,
        now.rmse,
        now.bias,
        "yes" if name in (selection.clearly_better or []) else "",
    ]


def differences_section(results: Results) -> Section:
    """The champion minus every other model, and what the LLaMA encoders add to the stack."""
    compared = {f"champion minus {name}": row for name, row in results.champion_minus.items()}
    if results.llama_gain:
        compared["stack minus stack_without_llama"] = results.llama_gain
    heading = "Is the champion really better? Paired 90 % intervals"
    return Section(heading, difference_table(compared))


def difference_table(compared: Mapping[str, Differences]) -> list[Paragraph | Table]:
    """A row per pair of models, a column per metric; green where the first of the two is clearly better."""
    metrics = list(dict.fromkeys(chain.from_iterable(compared.values())))
    rows = [[label, *_differences(row, metrics)] for label, row in compared.items()]
    said = Paragraph("Green: the first of the two is clearly better. Red: clearly worse.")
    return [said, Table(["difference", *metrics], rows)]


def _differences(row: Differences, metrics: Sequence[str]) -> list[Estimate | None]:
    return [_difference(metric, row.get(metric)) for metric in metrics]


def _difference(metric: str, difference: Difference | None) -> Estimate | None:
    if difference is None:
        return None
    verdict = verdict_on(metric, difference)
    return Estimate(*difference, "" if verdict == NOT_CLEAR else verdict)


def fine_tuning_section(found: FineTuning) -> Section:
    """The text encoder beside probes of the untrained one, and their differences."""
    sample = Paragraph(
        f"On a seeded sample of {found.num_customers} test customers; "
        f"the linear probes were fitted on {found.num_probe_rows} training rows."
    )
    rows = [[name, *_fine_tuning_cells(model)] for name, model in found.models.items()]
    models = Table(["model", *FINE_TUNING_METRICS], rows)
    differences = {f"text_llama minus {name}": row for name, row in found.text_llama_minus.items()}
    return Section(
        "What fine-tuning bought",
        [
            sample,
            models,
            Paragraph("Differences with 95 % intervals."),
            *difference_table(differences),
        ],
    )


def _fine_tuning_cells(model: SpendMetrics) -> list[Cell]:
    return [getattr(model, metric) for metric in FINE_TUNING_METRICS]


def fits_section(fits: Mapping[str, BtydFit]) -> Section:
    """Parameters of the buy-till-you-die models, and whether their fits can be trusted."""
    rows: list[list[Cell]] = []
    seen: list[object] = []
    for model, fit in fits.items():
        for part, fitted in (("purchases", fit.purchases), ("order_values", fit.order_values)):
            if fitted in seen:  # the models share one of order values
                continue
            seen.append(fitted)
            parameters = [
                _parameter(name, getattr(fitted, name), error)
                for name, error in fitted.report.standard_errors.items()
            ]
            rows.append([model, part, ", ".join(parameters), *_ending(fitted.report)])
    header = [
        "model",
        "of",
        "parameters ± standard error",
        "ended",
        "starts",
        "starts ended apart",
        "log-likelihood",
    ]
    return Section("How the buy-till-you-die models were fitted", [Table(header, rows)])


def _parameter(name: str, value: float, error: float | None) -> str:
    """Standard errors are those of the logarithm, and so relative."""
    told = "(no error known)" if error is None else f"± {100 * error:.1f} %"
    return f"{name} {value:.4g} {told}"


def _ending(report: FitReport) -> list[Cell]:
    return [
        "converged" if report.converged else report.message,
        report.num_starts,
        report.optima_apart,
        report.log_likelihood,
    ]


def rank_table(models: Mapping[str, RankMetrics]) -> Table:
    """Rankers on one group of customers."""
    rows = [[name, *_rank_cells(model)] for name, model in models.items()]
    return Table(["model", *RANK_METRICS], rows)


def _rank_cells(model: RankMetrics) -> list[Cell]:
    return [
        model.hr_at_10,
        model.ndcg_at_10,
        model.recall_at_20,
        model.ndcg_at_20,
        model.coverage,
        model.num_customers,
    ]
