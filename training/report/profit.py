"""Profit within the horizon, part by part, and where the costs are from."""

from collections.abc import Mapping

from lifecycle.value.costs import SHARES, CostRate
from training.report.page import Cell, Paragraph, Section, Table
from training.results.customers import Profit, ProfitPart

COLUMNS = ("predicted", "actual", "bias", "mae", "mae_average_rate")


def profit_section(found: Profit, costs: Mapping[str, CostRate]) -> Section:
    """Totals of all test customers by part of the value, errors per customer, and where the costs are from."""
    said = Paragraph(
        "Not discounted, and without costs that the data do not hold. "
        "mae_average_rate is the error where the shop's average rate of a cost is everybody's."
    )
    revenue = found.revenue
    rows: list[list[Cell]] = [
        ["revenue", revenue.predicted, revenue.actual, revenue.bias, revenue.mae, None],
        ["refunds", *_cells(found.refunds)],
        ["goods_cost", *_cells(found.goods_cost)],
        ["service_cost", *_cells(found.service_cost)],
        ["marketing_cost", *_cells(found.marketing_cost)],
        ["profit", *_cells(found.profit)],
    ]
    cost_rows = [_cost(name, cost) for name, cost in costs.items()]
    return Section(
        "Profit within the horizon: expected and actual, by part",
        [
            said,
            Table(["part", *COLUMNS], rows),
            Table(["cost", "average rate", "of", "known from"], cost_rows),
        ],
    )


def _cells(part: ProfitPart | None) -> list[Cell]:
    if part is None:
        return [None] * len(COLUMNS)
    return [part.predicted, part.actual, part.bias, part.mae, part.mae_average_rate]


def _cost(name: str, cost: CostRate) -> list[Cell]:
    of = "spend" if name in SHARES else "a customer's day"
    source = "the data" if cost.is_learned else "the recipe: the data hold none"
    return [name, cost.rate, of, source]
