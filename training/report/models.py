"""Tables of models: their metrics, what they were chosen by, their paired differences, their fits."""

from collections.abc import Mapping, Sequence
from itertools import chain

from lifecycle.btyd.likelihood import FitReport
from lifecycle.btyd.meaning import meaning_of
from training.report.answer.verdict import NOT_CLEAR, verdict_on
from training.report.page import Cell, Estimate, Paragraph, Section, Table
from training.report.words.models import (
    MODELS,
    SAMPLE,
    in_sentence,
    listed,
    metric_words,
    model_words,
)
from training.results.arena import Results
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

ERRORS = ("mae", "rmse", "r2", "bias", "decile_mape")
ORDER = (
    "gini",
    "spearman",
    "top_decile_share",
    "coverage_80",
    "coverage_95",
    "customers_per_second",
)
FINE_TUNING_METRICS = ("mae", "rmse", "gini", "spearman", "bias")


def value_section(models: Mapping[str, ModelMetrics], champion: str, currency: str) -> Section:
    """All metrics with their 95 % intervals."""
    captions = {
        "How far off models are; small numbers are 95 % intervals": ERRORS,
        "How well they order customers, how often intervals hold, how fast they are": ORDER,
    }
    tables = [
        _metrics_table(caption, metrics, models, champion, currency)
        for caption, metrics in captions.items()
    ]
    return Section("All models on the test customers", [*tables, *_beside(models)])


def _beside(models: Mapping[str, ModelMetrics]) -> list[Paragraph]:
    """Of an error by tenths whose interval does not hold it."""
    errors = ((one.decile_mape, one.ci.get("decile_mape")) for one in models.values())
    if all(error is None or ends is None or ends[0] <= error <= ends[1] for error, ends in errors):
        return []
    return [
        Paragraph(
            "An interval of the error by tenths may lie beside its value: where hardly anybody of the lowest "
            "tenths buys, one buyer more or less moves it much. Do not compare models by it."
        )
    ]


def _metrics_table(
    caption: str,
    metrics: Sequence[str],
    models: Mapping[str, ModelMetrics],
    champion: str,
    currency: str,
) -> Table:
    rows = [[model_words(name), *_estimates(model, metrics)] for name, model in models.items()]
    header = ["model", *(metric_words(name, currency) for name in metrics)]
    return Table(caption, header, rows, model_words(champion))


def _estimates(model: ModelMetrics, metrics: Sequence[str]) -> list[Estimate | None]:
    return [with_interval(getattr(model, name), model.ci.get(name)) for name in metrics]


def with_interval(value: float | None, interval: Interval | None) -> Estimate | None:
    """A cell with the ends of its interval, where they are known."""
    if value is None:
        return None
    return Estimate(value, *(interval or ()))


def choice_section(selection: Selection, champion: str, currency: str) -> Section:
    """RMSE and bias of every model before the test cutoff, and which are clearly better than the stack there."""
    error = metric_words("rmse", currency)
    windows = {"selection": selection.models}
    if selection.backtest is not None:
        windows = {"backtest": selection.backtest} | windows
    if selection.same_season is not None:
        windows = {"a year ago": selection.same_season} | windows
    header = ["model"]
    for window in windows:
        header += [f"{window}: {error}", f"{window}: expected / actual"]
    rows: list[list[Cell]] = []
    for name in selection.models:
        row: list[Cell] = [model_words(name)]
        for models in windows.values():
            there = models.get(name)
            row += [None, None] if there is None else [there.rmse, there.bias]
        rows.append(row)
    better = [in_sentence(name) for name in selection.clearly_better or []]
    said = f"The rule: {selection.rule}. The test customers choose nothing."
    if better:
        said += f" Clearly better than the stack there: {listed(better)}."
    said += (
        " Selection: customers held out of training; where the season is known, models are brought there to the "
        "total that came, so that expected / actual says nothing."
    )
    table = Table("Models on windows before the test", header, rows, model_words(champion))
    return Section("What the choice was made by", [Paragraph(said), table])


def differences_section(results: Results, currency: str) -> Section:
    """The champion minus every other model, and what the LLaMA encoders add to the stack."""
    assert results.champion is not None
    ours = model_words(results.champion)
    compared = {
        f"{ours} minus {model_words(name)}": row for name, row in results.champion_minus.items()
    }
    if results.llama_gain:
        compared["stack minus stack without LLaMA"] = results.llama_gain
    heading = f"Is {in_sentence(results.champion)} really better?"
    caption = "Differences on the same customers, with paired 90 % intervals"
    return Section(heading, difference_table(caption, compared, currency))


def difference_table(
    caption: str, compared: Mapping[str, Differences], currency: str
) -> list[Paragraph | Table]:
    """A row per pair of models, a column per metric; green where the first of the two is clearly better."""
    metrics = list(dict.fromkeys(chain.from_iterable(compared.values())))
    rows = [[label, *_differences(row, metrics)] for label, row in compared.items()]
    said = Paragraph("Green: the first of the two is clearly better. Red: clearly worse.")
    header = ["difference", *(metric_words(metric, currency) for metric in metrics)]
    return [said, Table(caption, header, rows)]


def _differences(row: Differences, metrics: Sequence[str]) -> list[Estimate | None]:
    return [_difference(metric, row.get(metric)) for metric in metrics]


def _difference(metric: str, difference: Difference | None) -> Estimate | None:
    if difference is None:
        return None
    verdict = verdict_on(metric, difference)
    return Estimate(*difference, "" if verdict == NOT_CLEAR else verdict)


def fine_tuning_section(found: FineTuning, currency: str) -> Section:
    """The text encoder beside probes of the untrained one, and their differences."""
    sample = Paragraph(
        f"On a seeded sample of {found.num_customers} test customers; "
        f"the linear probes were fitted on {found.num_probe_rows} training rows."
    )
    rows = [[model_words(name), *_fine_tuning_cells(model)] for name, model in found.models.items()]
    header = ["model", *(metric_words(metric, currency) for metric in FINE_TUNING_METRICS)]
    differences = {
        f"text LLaMA minus {model_words(name)}": row for name, row in found.text_llama_minus.items()
    }
    caption = "Differences on the sample, with paired 95 % intervals"
    return Section(
        "What fine-tuning bought",
        [
            sample,
            Table("Models on the sample", header, rows),
            *difference_table(caption, differences, currency),
        ],
    )


def _fine_tuning_cells(model: SpendMetrics) -> list[Cell]:
    return [getattr(model, metric) for metric in FINE_TUNING_METRICS]


def fits_section(fits: Mapping[str, BtydFit]) -> Section:
    """Parameters of the buy-till-you-die models, and whether their fits can be trusted."""
    rows: list[list[Cell]] = []
    seen: list[object] = []
    for model, fit in fits.items():
        for part, fitted in (("purchases", fit.purchases), ("order values", fit.order_values)):
            if fitted in seen:  # the models share one of order values
                continue
            seen.append(fitted)
            parameters = [
                _parameter(name, getattr(fitted, name), error)
                for name, error in fitted.report.standard_errors.items()
            ]
            rows.append([model_words(model), part, ", ".join(parameters), *_ending(fitted.report)])
    header = [
        "model",
        "of",
        "parameters ± standard error",
        "ended",
        "starts",
        "starts ended apart",
        "log-likelihood",
    ]
    caption = "Parameters by maximum likelihood, from several starts"
    return Section("How the buy-till-you-die models were fitted", [Table(caption, header, rows)])


def _parameter(name: str, value: float, error: float | None) -> str:
    """Standard errors are those of the logarithm, and so relative."""
    told = "(no error known)" if error is None else f"± {100 * error:.1f} %"
    return f"{name} {value:.4g} {told}"


def _ending(report: FitReport) -> list[Cell]:
    return [
        "converged" if report.converged else _problem_words(report.message),
        report.num_starts,
        report.optima_apart,
        report.log_likelihood,
    ]


def _problem_words(message: str) -> str:
    """What is wrong with a fit, and what that means."""
    problems = message.split("; ")
    meanings = dict.fromkeys(meaning_of(problem) for problem in problems)
    return f"{'; '.join(problems)}: {'; '.join(meanings)}"


def names_section(values: Sequence[str], rankers: Sequence[str]) -> Section:
    """What models are, and what files and recipes call them."""
    tables = {"Models of value": values, "Rankers of items": rankers}
    header = ["model", "what it is", "name in files"]
    return Section(
        "What the models are",
        [
            Table(caption, header, [_named(name) for name in names])
            for caption, names in tables.items()
            if names
        ],
    )


def _named(name: str) -> list[Cell]:
    known = name.removesuffix(SAMPLE)
    return [model_words(name), MODELS[known][1] if known in MODELS else "", name]
