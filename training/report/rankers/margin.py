"""What lists earn against how often they hit, as margins count more in their order."""

from itertools import groupby

from training.report.models import with_interval
from training.report.page import (
    Cell,
    Paragraph,
    Picture,
    Section,
    Table,
    money,
    new_figure,
    number,
    percent,
    picture,
)
from training.report.plots import COLORS
from training.report.rankers.plots import both_ways, interval_reach
from training.report.words.models import METRICS, in_sentence
from training.results.recommend import MarginCurve, MarginPoint

SOURCES = {
    "catalogue": "the catalogue's column margin",
    "costs": "the mean of amount less cost of the item's lines before the cutoff",
}


def margin_section(curve: MarginCurve, currency: str) -> Section:
    """The curve with its table, and in words what the best weight costs and brings."""
    said = (
        f"Ten items by the score of {in_sentence(curve.model)}, times 1 - w + w × margin / mean margin. A weight w of "
        "0 orders by score alone. With 1 every item is worth its score times its margin, as objective margin of the "
        f"service has it. An item's margin is {SOURCES[curve.source]}; it is known for "
        f"{percent(curve.known_margins)} of the items that were bought before. Of each customer the "
        f"{number(curve.num_candidates)} best items by score are put in order."
    )
    rows: list[list[Cell]] = [
        [
            f"{point.weight:g}",
            with_interval(point.hr_at_10, point.ci["hr@10"]),
            with_interval(point.margin_at_10, point.ci["margin@10"]),
        ]
        for point in curve.points
    ]
    header = ["weight of margin", METRICS["hr@10"], f"margin a customer ({currency})"]
    caption = f"{number(curve.num_customers)} customers; small numbers are 95 % intervals"
    parts = [Paragraph(said), Paragraph(_best(curve.points, currency))]
    return Section(
        "What margins cost in hits", [*parts, _plot(curve, currency), Table(caption, header, rows)]
    )


def _best(points: list[MarginPoint], currency: str) -> str:
    """What the weight that earns most earns and costs."""
    alone = points[0]
    best = max(points, key=lambda point: point.margin_at_10)
    if best is alone:
        return (
            f"No weight earns more than the score alone: {money(alone.margin_at_10)} {currency} a customer, "
            f"with a hit for {percent(alone.hr_at_10)} of them."
        )
    return (
        f"Most is earned with a weight of {best.weight:g}: {money(best.margin_at_10)} {currency} a customer instead of "
        f"{money(alone.margin_at_10)}, with a hit for {percent(best.hr_at_10)} of them instead of "
        f"{percent(alone.hr_at_10)}. It is chosen in hindsight: the curve tells the price of margins, not a setting."
    )


def _plot(curve: MarginCurve, currency: str) -> Picture:
    """A point per weight, with its 95 % intervals; weights of the same lists share one."""
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    earned = [point.margin_at_10 for point in curve.points]
    hits = [point.hr_at_10 for point in curve.points]
    axes.errorbar(
        earned,
        hits,
        both_ways([interval_reach(one.hr_at_10, one.ci["hr@10"]) for one in curve.points]),
        both_ways([interval_reach(one.margin_at_10, one.ci["margin@10"]) for one in curve.points]),
        fmt="o-",
        color=COLORS[0],
        ecolor="#a5b1c2",
        elinewidth=0.8,
    )
    for at, same in groupby(curve.points, key=lambda point: (point.margin_at_10, point.hr_at_10)):
        weights = [f"{point.weight:g}" for point in same]
        told = "–".join(dict.fromkeys([weights[0], weights[-1]]))
        axes.annotate(told, at, (5, 5), textcoords="offset points", fontsize=9)
    axes.set_xlabel(
        f"margin a customer of what ten items hit ({currency}); beside points the weight"
    )
    axes.set_ylabel("hit rate at 10")
    return picture(figure, "hit rate against margin as the weight of the margin goes from 0 to 1")
