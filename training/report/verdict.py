"""The arena's verdict in words."""

from lifecycle.names import STACK_OVER_BUDGET
from training.report.page import Cell, Paragraph, Section, facts
from training.results.arena import Results
from training.results.value import Difference, Differences

NOT_CLEAR = "not clear"
LESS_IS_BETTER = ("mae", "rmse")


def verdict_section(results: Results) -> Section:
    """What was chosen, and what the tables below say in the end."""
    sentences = [Paragraph(sentence) for sentence in _findings(results)]
    return Section("Verdict", [facts(_chosen(results)), *sentences])


def _chosen(results: Results) -> dict[str, Cell]:
    rows: dict[str, Cell] = {}
    selection = results.selection
    if selection is not None:
        rows["champion for value"] = results.champion
        rows["chosen by"] = f"{selection.rule} ({selection.num_customers} customers)"
    rows["recommender"] = results.recommender.model
    rows["test customers"] = results.num_customers
    if selection is not None and results.refitted_at:
        until = f"to outcomes until {results.refitted_at}; what is judged here knew them until the cutoff"
        rows["what serves"] = f"the same cheap models fitted again, {until}"
    return rows


def _findings(results: Results) -> list[str]:
    """In words: also where the champion is beaten, and what costs accuracy."""
    champion = results.champion
    if champion is None:
        return []
    found = _rivals(results, champion)
    if results.llama_gain:
        gains = _gains(results.llama_gain)
        found.append(f"The stack with the LLaMA encoders against without: {gains}.")
    if STACK_OVER_BUDGET in results.models:
        lost = _gains(results.champion_minus[STACK_OVER_BUDGET])
        found.append(
            "The score budget keeps encoders out of the stack. "
            f"{champion} against the stack with all of them: {lost}."
        )
    return found + _left_out(results, champion)


def _rivals(results: Results, champion: str) -> list[str]:
    """Which models are clearly better than the champion, and in what."""
    found = []
    for name, differences in results.champion_minus.items():
        better = [
            metric
            for metric, difference in differences.items()
            if difference is not None and verdict_on(metric, difference) == "worse"
        ]
        if better:
            bias = results.models[name].bias
            total = "" if bias is None else f"; its total is {bias:.2f} times the actual one"
            found.append(f"{name} is clearly better than {champion} in {', '.join(better)}{total}.")
    if not found and results.champion_minus:
        return [f"No model is clearly better than {champion} in any metric compared."]
    return found


def _left_out(results: Results, champion: str) -> list[str]:
    """For which models the data were too few."""
    left_out = results.selection.unsupported if results.selection else {}
    found = []
    if champion in left_out:
        found.append(f"{champion} was chosen for want of others: {left_out[champion]}.")
    for name, reason in left_out.items():
        if name != champion:
            found.append(f"{name} was judged, but could not be chosen: {reason}.")
    return found


def _gains(differences: Differences) -> str:
    """`mae -1.2 (-2.0 to -0.4), better; ...` of differences and their paired intervals."""
    known = {metric: one for metric, one in differences.items() if one is not None}
    if not known:
        return "nothing can be told"
    if not any(any(difference) for difference in known.values()):
        return "the same, since none has a share"
    return "; ".join(_gain(metric, difference) for metric, difference in known.items())


def _gain(metric: str, difference: Difference) -> str:
    estimate, low, high = difference
    interval = f"({low:+.3g} to {high:+.3g})"
    return f"{metric} {estimate:+.3g} {interval}, {verdict_on(metric, difference)}"


def verdict_on(metric: str, difference: Difference) -> str:
    """Whether the first of two models is better or worse by a difference and the ends of its interval."""
    _, low, high = difference
    if low <= 0 <= high:
        return NOT_CLEAR
    is_lower = high < 0
    return "better" if is_lower == (metric in LESS_IS_BETTER) else "worse"
