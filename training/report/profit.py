"""Profit within the horizon, part by part, and where the costs are from."""

from collections.abc import Mapping

from lifecycle.value.costs import SHARES, CostRate
from training.report.page import Cell, Paragraph, Section, Table, money_cell
from training.results.customers import Profit, ProfitPart, Revenue


def profit_section(found: Profit, costs: Mapping[str, CostRate], currency: str) -> Section:
    """Totals of all test customers by part of the value, errors per customer, and where the costs are from."""
    said = Paragraph(
        "Not discounted, and without costs that the data do not hold. The last column is the error "
        "where the shop's average rate of a cost is everybody's."
    )
    revenue = found.revenue
    parts = {
        "refunds": found.refunds,
        "cost of goods": found.goods_cost,
        "cost of service": found.service_cost,
        "cost of marketing": found.marketing_cost,
        "profit": found.profit,
    }
    rows: list[list[Cell]] = [
        ["revenue", *_amounts(revenue), None],
        *([name, *_cells(part)] for name, part in parts.items() if part is not None),
    ]
    header = [
        "part",
        f"expected ({currency})",
        f"actual ({currency})",
        "expected / actual",
        f"mean absolute error ({currency})",
        f"the same at average rates ({currency})",
    ]
    caption = "All test customers within the horizon; errors are per customer"
    cost_rows = [_cost(name, cost, currency) for name, cost in costs.items()]
    return Section(
        "Profit within the horizon: expected and actual, by part",
        [
            said,
            Table(caption, header, rows),
            Table("Costs", ["cost", "average rate", "of", "known from"], cost_rows),
        ],
    )


def _cells(part: ProfitPart) -> list[Cell]:
    return [*_amounts(part), money_cell(part.mae_average_rate)]


def _amounts(part: Revenue | ProfitPart) -> list[Cell]:
    return [
        money_cell(part.predicted),
        money_cell(part.actual),
        part.bias,
        money_cell(part.mae),
    ]


def _cost(name: str, cost: CostRate, currency: str) -> list[Cell]:
    of = "spend" if name in SHARES else f"a customer's day ({currency})"
    return [name, cost.rate, of, _source(cost)]


def _source(cost: CostRate) -> str:
    if cost.is_learned:
        return "the data"
    if cost.rate:
        return "the recipe: the data hold none"
    return "nothing: data and recipe say none, values are without it"
