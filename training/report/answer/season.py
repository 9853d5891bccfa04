"""Season and trend in report.html: what the forecast holds of them, and the months ahead."""

from datetime import timedelta

from matplotlib.patches import Patch

from lifecycle.btyd.season import Season
from training.report.page import Paragraph, Part, Picture, new_figure, number, percent, picture
from training.results.customers import Worth

AHEAD = "#3867d6"
LATER = "#a5b1c2"


def season_parts(worth: Worth, horizon_days: int) -> list[Part]:
    """In a few sentences, and a plot of the months ahead where a season is known."""
    season = worth.season
    if worth.num_decided == worth.num_customers:
        return [
            Paragraph(
                "Season and trend are not in these numbers: of all customers a plan, a pause or a cancellation decides."
            )
        ]
    if not season.is_known:
        return [Paragraph(_unknown(season, horizon_days))]
    return [Paragraph(_known(worth, season, horizon_days)), _months(season, horizon_days)]


def _unknown(season: Season, horizon_days: int) -> str:
    why = "" if season.why is None else f": {season.why}"
    return (
        f"Season and trend are not in this forecast{why}. It expects the next {horizon_days} days "
        "to be like those that it learned from. Where the same days of last year were far better or worse, "
        "expect that again."
    )


def _known(worth: Worth, season: Season, horizon_days: int) -> str:
    said = ["Season and trend are in these numbers."]
    if season.year_ago is not None:
        said.append(
            f"Last year the months ahead brought {season.year_ago:.2f} times what BG/NBD expects of such customers."
        )
    interval = ""
    if season.low is not None and season.high is not None:
        interval = f" (95 % interval {season.low:.2f} to {season.high:.2f})"
    said.append(
        f"For the next {horizon_days} days its total counts {season.factor:.2f} times{interval}, "
        "and every other model is brought to the same total."
    )
    if worth.standings:
        said.append(
            f"The {number(worth.num_decided)} customers of whom a plan, a pause or a cancellation decides "
            "know no season."
        )
    if season.growth is not None:
        said.append(_growth(season, season.growth))
    if season.learned_from is not None:
        first, end = season.learned_from
        said.append(f"Learned from {first} to {end}.")
    return " ".join(said)


def _growth(season: Season, growth: float) -> str:
    """Of customers alike; how a shop grows by new ones is in no forecast of those it has."""
    told = f"{_change(growth)}"
    if season.growth_low is None or season.growth_high is None:
        said = f"Customers alike spend {told} from year to year"
    elif season.growth_low <= 0.0 <= season.growth_high:
        ends = f"{_change(season.growth_low)} to {_change(season.growth_high)}"
        said = (
            "Whether customers alike spend more or less from year to year cannot be told from these data "
            f"({told}, 95 % interval {ends})"
        )
    else:
        ends = f"{_change(season.growth_low)} to {_change(season.growth_high)}"
        said = f"Customers alike spend {told} from year to year (95 % interval {ends})"
    return f"{said}; what new customers add is not in that."


def _change(growth: float) -> str:
    return f"{percent(abs(growth))} {'more' if growth >= 0 else 'less'}"


def _months(season: Season, horizon_days: int) -> Picture:
    """Of each month after the cutoff, its spend over that of the average month."""
    figure = new_figure(height=2.8)
    axes = figure.subplots()
    months = list(season.months)
    assert season.cutoff is not None
    last = f"{season.cutoff + timedelta(days=horizon_days - 1):%Y-%m}"
    colors = [AHEAD if month <= last else LATER for month in months]
    axes.bar(range(len(months)), list(season.months.values()), color=colors)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(months)), months, rotation=45, ha="right")
    axes.set_ylabel("spend over that of\nthe average month")
    named = [
        Patch(color=AHEAD, label=f"the next {horizon_days} days"),
        Patch(color=LATER, label="later"),
    ]
    figure.legend(handles=named, loc="outside upper center", ncols=2, fontsize=8)
    return picture(figure, "season of the months ahead, over the average month")
