"""What report.html opens with: what customers are worth in all, with whom it lies, whom to act on first."""

from collections.abc import Mapping

from lifecycle.features.standing import PAID
from lifecycle.value.costs import CostRate
from training.report.page import (
    Cell,
    Paragraph,
    Part,
    Section,
    Table,
    money,
    money_cell,
    number,
    percent,
    share_cell,
)
from training.report.words.models import listed, spaced
from training.results.arena import Results
from training.results.customers import SegmentWorth, Worth
from training.results.value import TotalError

NUM_ACTIONS = 3  # that are named in words
NO_ACTION = "no_action"


def answer_sections(results: Results) -> list[Section]:
    """Of what serves. Empty where the examples say nothing of value."""
    worth = results.worth
    if worth is None or results.currency is None or results.horizon_days is None:
        return []
    return [
        _total_section(worth, results, results.horizon_days, results.currency),
        _act_section(worth, results.horizon_days, results.currency),
    ]


def _total_section(worth: Worth, results: Results, horizon_days: int, currency: str) -> Section:
    costs = results.costs or {}
    after = "after costs, " if any(cost.rate for cost in costs.values()) else ""
    said = _total(worth, results.total_error, horizon_days, currency, after)
    parts: list[Part] = [
        Paragraph(f"{said} {_costs(costs)}".rstrip()),
        Paragraph(_how(results.total_error)),
        _segments(worth, horizon_days, currency),
    ]
    if results.refitted_at in (None, worth.as_of):
        parts.append(Paragraph(_scores(worth)))
    return Section("What the customers are worth, and with whom it lies", parts, "The answer")


def _scores(worth: Worth) -> str:
    return (
        f"Scores of these customers add up to this where they are made as of {worth.as_of}. By default they are of the "
        "moment after the last event, and differ by what came between."
    )


def _total(
    worth: Worth, error: TotalError | None, horizon_days: int, currency: str, after: str
) -> str:
    """`after` says what is taken off the value."""
    spend = f"{money(worth.spend)} {currency}{_between(worth.spend, error, currency)}"
    value = f"{money(worth.clv)} {currency}{_between(worth.clv, error, currency)}"
    days = worth.num_periods * worth.period_days
    rate = percent(worth.annual_discount_rate)
    said = (
        f"The {number(worth.num_customers)} customers who had bought by {worth.as_of} are expected to spend {spend} "
        f"in the {horizon_days} days from then. They are worth {value} over {days} days, "
        f"{after}discounted at {rate} a year."
    )
    top = worth.segments.get("top")
    if top is not None and worth.clv > 0:
        shares = percent(top.num_customers / worth.num_customers), percent(top.clv / worth.clv)
        said += " The top {} of customers hold {} of that value.".format(*shares)
    return said


def _costs(costs: Mapping[str, CostRate]) -> str:
    """Which costs are in the value, and which are not."""
    known = [name for name, cost in costs.items() if cost.rate]
    free = [name for name, cost in costs.items() if not cost.rate]
    said = [f"Costs are those of {listed(known)}."] if known else []
    if free:
        said.append(f"Nothing is counted for {listed(free)}.")
    return " ".join(said)


def _between(total: float, error: TotalError | None, currency: str) -> str:
    if error is None or error.low is None or error.high is None:
        return ""
    low, high = sorted((total * error.low, total * error.high))
    told = f"{money(low)} to {money(high)} {currency}"
    return f" ({percent(error.level)} interval: {told})"


def _how(error: TotalError | None) -> str:
    """How the interval is made, and what it does not hold."""
    if error is None or error.low is None:
        return (
            "No interval can be given: in no window of the past did customers spend anything "
            "that could be compared with what was expected."
        )
    windows = [
        f"{window.bias:.2f} times what came from {window.cutoff} to {window.until} ({window.window})"
        for window in error.windows
        if window.bias
    ]
    seen = "that window" if len(windows) == 1 else "these windows"
    return (
        f"The interval comes from whole windows that the model had not seen: it expected {listed(windows)}. "
        f"Errors that all customers share, such as a season, do not cancel in a total, so it is as wide as {seen} "
        "were off, wider for being so few. Beyond the horizon nobody has checked: "
        "take that of the value for the least. Who has not bought yet is in neither total."
    )


def _segments(worth: Worth, horizon_days: int, currency: str) -> Table:
    rows = [_segment_row(name, one, worth) for name, one in worth.segments.items()]
    header = [
        "segment",
        "customers",
        "share of customers",
        f"value ({currency})",
        "share of value",
        f"value of each ({currency})",
        f"expected spend, {horizon_days} days ({currency})",
    ]
    return Table(f"With whom the value lies, as of {worth.as_of}", header, rows)


def _segment_row(name: str, one: SegmentWorth, worth: Worth) -> list[Cell]:
    return [
        name,
        one.num_customers,
        share_cell(one.num_customers / worth.num_customers),
        money_cell(one.clv),
        share_cell(one.clv / worth.clv if worth.clv > 0 else None),
        money_cell(one.clv / one.num_customers),
        money_cell(one.spend),
    ]


def _act_section(worth: Worth, horizon_days: int, currency: str) -> Section:
    parts: list[Part] = [Paragraph(_whom(worth, horizon_days, currency))]
    if worth.actions:
        parts.append(_actions(worth, currency))
    if worth.first:
        parts.append(_first(worth, currency))
    return Section("Whom to act on first", parts)


def _whom(worth: Worth, horizon_days: int, currency: str) -> str:
    plans = ", or of not renewing a paid plan whenever it is due" if PAID in worth.standings else ""
    said = (
        "Value at risk is a customer's value times the probability of buying nothing in the next "
        f"{horizon_days} days{plans}. It says where to look first, not what an action will bring: only a group "
        "that is left alone measures that (holdout of training.audience)."
    )
    at_risk = sum(one.at_risk for one in worth.actions.values())
    clv = sum(one.clv for one in worth.actions.values())
    named = [name for name in worth.actions if name != NO_ACTION][:NUM_ACTIONS]
    if not named or not at_risk > 0:
        return said
    told = [
        f"{spaced(name)} ({number(worth.actions[name].num_customers)} customers, "
        f"{money(worth.actions[name].at_risk)} {currency} at risk)"
        for name in named
    ]
    return (
        f"Of the {money(clv)} {currency} that the customers of segments top and high are worth, "
        f"{money(at_risk)} {currency} ({percent(at_risk / clv)}) is at risk. Begin there with {listed(told)}. {said}"
    )


def _actions(worth: Worth, currency: str) -> Table:
    rows: list[list[Cell]] = [
        [spaced(name), one.num_customers, money_cell(one.clv), money_cell(one.at_risk)]
        for name, one in worth.actions.items()
    ]
    header = ["next best action", "customers", f"value ({currency})", f"value at risk ({currency})"]
    return Table(
        "Next best actions of the customers of segments top and high, most value at risk first",
        header,
        rows,
    )


def _first(worth: Worth, currency: str) -> Table:
    rows: list[list[Cell]] = [
        [
            one.customer_id,
            money_cell(one.clv),
            money_cell(one.at_risk),
            share_cell(one.churn_probability),
            one.segment,
            one.stage,
            spaced(one.next_best_action),
        ]
        for one in worth.first
    ]
    header = [
        "customer",
        f"value ({currency})",
        f"value at risk ({currency})",
        "buys or renews nothing" if PAID in worth.standings else "buys nothing",
        "segment",
        "stage",
        "next best action",
    ]
    caption = (
        "The customers of segments top and high with most value at risk; all are in the scores"
    )
    return Table(caption, header, rows)
