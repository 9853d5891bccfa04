"""Which model says so, and how far to trust it, in words."""

from lifecycle.features.standing import CANCELLED, OVERDUE, PAID, PAUSED
from lifecycle.names import STACK_OVER_BUDGET
from training.report.page import Paragraph, Section, money, number, percent
from training.report.words.models import METRICS, capital, in_sentence, listed, spaced
from training.results.arena import Results
from training.results.customers import Worth
from training.results.value import Difference, Differences, ModelMetrics, TotalError

NOT_CLEAR = "not clear"
LESS_IS_BETTER = ("mae", "rmse")
STANDINGS = {
    PAID: "with a paid plan",
    PAUSED: "paused",
    OVERDUE: "overdue",
    CANCELLED: "cancelled",
}
# High over low of the interval of a total, from which on it is told to be rough.
ROUGH = 1.5
WIDE = 1.2
GOOD_GINI = 0.7
FAIR_GINI = 0.4
# What it means for the reader that another model is better in a metric.
MEANING = {
    "mae": "it is nearer to what the usual customer spends: where single amounts count, look at its numbers too",
    "rmse": "it is nearer to the few who spend most: look at its numbers before much hangs on one customer",
    "gini": "the customers it puts first hold more of the spend: a list of the best is better made by it",
    "spearman": "it orders customers better from the first to the last: prefer it for lists that go beyond the best",
}


def verdict_section(results: Results) -> Section:
    """What answers, how far to trust it, and where others are better."""
    heading = "Which model says so, and how far to trust it"
    if results.champion is None or results.currency is None:
        chosen = results.recommender.model
        said = (
            "Nothing can be recommended: the data name no items."
            if chosen is None
            else f"{_capital(chosen)} recommends: {spaced(results.recommender.rule)}."
        )
        return Section("Which ranker recommends", [Paragraph(said)], "The answer")
    sentences = [
        _chosen(results, results.champion),
        _trust(results.models[results.champion], results.total_error, results.currency),
        *_findings(results, results.champion),
    ]
    return Section(heading, [Paragraph(sentence) for sentence in sentences])


def _chosen(results: Results, champion: str) -> str:
    said = f"{_capital(champion)} says so. It was chosen before the test customers were looked at"
    if results.selection is not None:
        said += f", among {len(results.selection.models)} models"
    said += f", and judged on {number(results.num_customers)} customers from {results.cutoff} "
    said += f"over {results.horizon_days} days."
    worth = results.worth
    if worth is not None and worth.standings:
        said += f" {_decided(worth)}"
    all_decided = worth is not None and worth.num_decided == worth.num_customers
    if results.churn is not None and results.churn.model != champion and not all_decided:
        of_others = "Of the others" if worth is not None and worth.standings else "Of all customers"
        said += (
            f" {of_others} {in_sentence(results.churn.model)} tells who buys nothing: where a high value and a high "
            "chance of buying nothing meet, the two disagree, and the customer is worth a look."
        )
    if results.refitted_at:
        said += (
            f" What answers is fitted again, to outcomes until {results.refitted_at}; "
            "what is judged here knew them until the cutoff."
        )
    if results.recommender.model is not None:
        said += f" {_capital(results.recommender.model)} recommends items."
    return said


def _decided(worth: Worth) -> str:
    """Of how many customers no model tells, but what they said or paid."""
    decided = worth.num_decided
    told = [
        f"{number(one.num_customers)} {STANDINGS[name]}" for name, one in worth.standings.items()
    ]
    of_all = f"all {number(worth.num_customers)} customers"
    if decided < worth.num_customers:
        of_all = f"{number(decided)} of the {number(worth.num_customers)} customers"
    said = (
        f"What {of_all} are worth follows from what they said or paid, not from it: {listed(told)}."
    )
    if worth.spend > 0:
        spend = sum(one.spend for one in worth.standings.values())
        said += f" They hold {percent(spend / worth.spend)} of the expected spend."
    return said


def _capital(name: str) -> str:
    return capital(in_sentence(name))


def _trust(judged: ModelMetrics, error: TotalError | None, currency: str) -> str:
    """Of the total, of the order, and of single customers."""
    said = []
    if judged.bias is not None and error is not None:
        said.append(f"Totals: it expected {judged.bias:.2f} times what came. {_of_total(error)}")
    if judged.gini is not None and judged.top_decile_share is not None:
        said.append(
            "Order: the tenth of customers that it put first held "
            f"{percent(judged.top_decile_share)} of what was spent (Gini {judged.gini:.2f} of 1). "
            f"{_of_order(judged.gini)}"
        )
    said.append(
        f"Single customers: it was off by {money(judged.mae)} {currency} on average; what "
        f"{percent(judged.coverage_80)} of them spent lay within their 80 % interval."
    )
    return " ".join(said)


def _of_total(error: TotalError) -> str:
    if error.low is None or error.high is None:
        return "How far totals may be off cannot be told."
    width = error.high / error.low
    if width > ROUGH:
        return "Totals are rough: plan with the interval, not with the number."
    if width > WIDE:
        return "Totals will do for plans with some reserve."
    return "Totals held well, as far as so few windows tell."


def _of_order(gini: float) -> str:
    if gini >= GOOD_GINI:
        return "Who comes before whom can be relied on."
    if gini >= FAIR_GINI:
        return "Who comes before whom is right more often than not."
    return "Who comes before whom is hardly told better than by chance."


def _findings(results: Results, champion: str) -> list[str]:
    """In words: also where the champion is beaten, and what costs accuracy."""
    found = _rivals(results, champion)
    if results.llama_gain:
        gains = _gains(results.llama_gain)
        found.append(f"The stack with the LLaMA encoders against without: {gains}.")
    if STACK_OVER_BUDGET in results.models:
        lost = _gains(results.champion_minus[STACK_OVER_BUDGET])
        found.append(
            "The score budget keeps encoders out of the stack. "
            f"{_capital(champion)} against the stack with all of them: {lost}."
        )
    return found + _left_out(results, champion)


def _rivals(results: Results, champion: str) -> list[str]:
    """Which models are clearly better than the champion, in what, and what that means for the reader."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, differences in results.champion_minus.items():
        better = tuple(
            metric
            for metric, difference in differences.items()
            if difference is not None and verdict_on(metric, difference) == "worse"
        )
        if better:
            alike.setdefault(better, []).append(name)
    if alike:
        return [
            *(_beaten(results, champion, names, better) for better, names in alike.items()),
            "What each model expected of each test customer is in predictions.parquet. "
            "A recipe whose models leave out others lets one of those that are left answer.",
        ]
    if results.champion_minus:
        return [f"No model is clearly better than {in_sentence(champion)} in any metric compared."]
    return []


def _beaten(results: Results, champion: str, names: list[str], better: tuple[str, ...]) -> str:
    """By models that are better in the same metrics."""
    who = capital(listed([in_sentence(name) for name in names]))
    verb = "is" if len(names) == 1 else "are each"
    told = listed([METRICS.get(metric, metric) for metric in better])
    means = "; ".join(MEANING[metric] for metric in better if metric in MEANING)
    totals = [
        f"{bias:.2f}" + (f" ({in_sentence(name)})" if len(names) > 1 else "")
        for name in names
        if (bias := results.models[name].bias) is not None
    ]
    total = "Its total is" if len(names) == 1 else "Their totals are"
    total = f" {total} {listed(totals)} times the actual one." if totals else ""
    return f"{who} {verb} clearly better than {in_sentence(champion)} in {told}: {means}.{total}"


def _left_out(results: Results, champion: str) -> list[str]:
    """For which models the data were too few."""
    left_out = results.selection.unsupported if results.selection else {}
    found = []
    if champion in left_out:
        found.append(f"{_capital(champion)} was chosen for want of others: {left_out[champion]}.")
    alike: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        if name != champion:
            alike.setdefault(reason, []).append(in_sentence(name))
    for reason, names in alike.items():
        verb = "was" if len(names) == 1 else "were"
        found.append(f"{capital(listed(names))} {verb} judged, but could not be chosen: {reason}.")
    return found


def _gains(differences: Differences) -> str:
    """`mean absolute error -1.2 (-2.0 to -0.4), better; ...` of differences and their paired intervals."""
    known = {metric: one for metric, one in differences.items() if one is not None}
    if not known:
        return "nothing can be told"
    if not any(any(difference) for difference in known.values()):
        return "the same, since none has a share"
    return "; ".join(_gain(metric, difference) for metric, difference in known.items())


def _gain(metric: str, difference: Difference) -> str:
    estimate, low, high = difference
    interval = f"({low:+.3g} to {high:+.3g})"
    told = METRICS.get(metric, metric)
    return f"{told} {estimate:+.3g} {interval}, {verdict_on(metric, difference)}"


def verdict_on(metric: str, difference: Difference) -> str:
    """Whether the first of two models is better or worse by a difference and the ends of its interval."""
    _, low, high = difference
    if low <= 0 <= high:
        return NOT_CLEAR
    is_lower = high < 0
    return "better" if is_lower == (metric in LESS_IS_BETTER) else "worse"
