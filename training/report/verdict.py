"""The arena's verdict in words."""

from collections.abc import Mapping, Sequence
from html import escape

from lifecycle.names import STACK_OVER_BUDGET
from training.report.page import mapping, table

NOT_CLEAR = "not clear"


def verdict(metrics: Mapping[str, object]) -> str:
    rows = {
        "recommender": mapping(metrics["recommender"])["model"],
        "test customers": metrics["num_customers"],
    }
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
                  if isinstance(numbers, list) and verdict_on(metric, numbers) == "worse"]  # fmt: skip
        bias = mapping(models[name])["bias"]
        if better:
            total = (
                f"; its total is {bias:.2f} times the actual one" if isinstance(bias, float) else ""
            )
            found.append(f"{name} is clearly better than {champion} in {', '.join(better)}{total}.")
    if not found and metrics["champion_minus"]:
        found = [f"No model is clearly better than {champion} in any metric compared."]
    if metrics["llama_gain"]:
        found.append(
            f"The stack with the LLaMA encoders against without: {_gains(mapping(metrics['llama_gain']))}."
        )
    if STACK_OVER_BUDGET in models:
        lost = mapping(mapping(metrics["champion_minus"])[STACK_OVER_BUDGET])
        found.append(f"The score budget keeps encoders out of the stack. {champion} against the stack with all of "
                     f"them: {_gains(lost)}.")  # fmt: skip
    left_out = mapping(mapping(metrics["selection"])["unsupported"])
    if champion in left_out:
        found.append(f"{champion} was chosen for want of others: {left_out[champion]}.")
    others = [name for name in left_out if name != champion]
    return found + [
        f"{name} was judged, but could not be chosen: {left_out[name]}." for name in others
    ]


def _gains(compared: Mapping[str, object]) -> str:
    """`mae -1.2 (-2.0 to -0.4), better; ...` of differences and their paired intervals."""
    told = []
    for metric, numbers in compared.items():
        if isinstance(numbers, list):
            estimate, low, high = numbers
            told.append(
                f"{metric} {estimate:+.3g} ({low:+.3g} to {high:+.3g}), {verdict_on(metric, numbers)}"
            )
    if told and not any(any(numbers) for numbers in compared.values() if isinstance(numbers, list)):
        return "the same, since none has a share"
    return "; ".join(told) or "nothing can be told"


def verdict_on(metric: str, numbers: Sequence[float]) -> str:
    """Whether the first of two models is better or worse by a difference and the ends of its interval."""
    _, low, high = numbers
    if low <= 0 <= high:
        return NOT_CLEAR
    return "better" if (high < 0) == (metric in ("mae", "rmse")) else "worse"
