"""Whether the probabilities of buying nothing came true."""

from training.report.models import with_interval
from training.report.page import Cell, Paragraph, Picture, Section, Table, new_figure, picture
from training.report.plots import COLORS
from training.report.words.models import capital, in_sentence, model_words
from training.results.value import Churn, ChurnCalibration, ChurnMetrics

PLANS = (
    " Here models compete alone. What is served knows who cancelled, paused or paid for a plan: with a paid plan "
    "churn is the chance that the next payment does not come, whenever it is due."
)


def churn_section(found: Churn, has_plans: bool) -> Section:
    """All models in a table, and the calibration of the one that serves; `has_plans` if anybody has paid for one."""
    chosen = found.model
    share = 100 * found.share_left
    said = Paragraph(
        f"{share:.1f} % bought nothing. {capital(in_sentence(chosen))} serves: {found.rule}. "
        "A Brier score is a mean squared error, less is better; skill is 1 for a model that is never wrong, "
        "0 for the share of all as everybody's probability."
    )
    rows = [[model_words(name), *_cells(model)] for name, model in found.models.items()]
    header = ["model", "Brier score", "AUROC", "Brier skill", "expected / actual"]
    caption = "Probabilities of buying nothing, on the test customers"
    models = Table(caption, header, rows, model_words(chosen))
    meaning = Paragraph(
        "Churn is the chance of buying nothing within the horizon; stages and actions go by it. "
        "Being active is the chance of not having left for good: who buys seldom may be active, and buy nothing."
        + (PLANS if has_plans else "")
    )
    drawing = _calibration(found.models[chosen].calibration, chosen)
    return Section("Churn: who will buy nothing", [said, meaning, models, drawing])


def _cells(model: ChurnMetrics) -> list[Cell]:
    brier = with_interval(model.brier, model.ci.brier)
    return [brier, model.auroc, model.brier_skill, model.bias]


def _calibration(found: ChurnCalibration, name: str) -> Picture:
    figure = new_figure(5.0, 4.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot(found.predicted, found.actual, marker="o", color=COLORS[0])
    axes.set_xlabel("probability of buying nothing, tenths of customers")
    axes.set_ylabel("share of each tenth that bought nothing")
    return picture(figure, f"calibration of churn by {model_words(name)}")
