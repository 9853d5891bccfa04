"""Ten customers from revenue to value, and what moved their predictions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from training.report.page import (
    Cell,
    Picture,
    Section,
    Table,
    label_money,
    money_cell,
    new_figure,
    picture,
)
from training.report.words.features import reason_words
from training.report.words.models import spaced
from training.results.customers import ExampleCustomer, Reason

GAIN = "#20bf6b"
LOSS = "#eb3b5a"
TOTAL = "#3867d6"
NOTHING = 1e-9  # in currency


def examples_section(
    examples: Sequence[ExampleCustomer], currency: str, cutoff: str | None
) -> Section:
    """From revenue to discounted value, customer by customer, as they were at the cutoff."""
    has_features = any(example.features for example in examples)
    has_events = any(example.events for example in examples)
    header = ["customer", f"value ({currency})"]
    if has_features:
        header.append("what is known")
    if has_events:
        header.append("moved by events")
    rows: list[list[Cell]] = []
    for example in examples:
        row: list[Cell] = [example.customer_id, money_cell(example.clv)]
        if has_features:
            row.append(_told(example.features, currency))
        if has_events:
            row.append(_told(example.events, currency))
        rows.append(row)
    caption = f"What moved the expected spend of each by how much, as of {cutoff}"
    reasons = [reason for one in examples for reason in (*one.features, *one.events)]
    if any(reason.effect is None for reason in reasons):
        caption += "; without a percentage, what it was told from"
    table = Table(caption, header, rows)
    return Section(
        "Customers from the highest to the lowest value: from revenue to value",
        [_waterfalls(examples, currency), table],
    )


def _told(reasons: Sequence[Reason], currency: str) -> str:
    return "; ".join(reason_words(reason, currency) for reason in reasons)


def _waterfalls(examples: Sequence[ExampleCustomer], currency: str) -> Picture:
    """Two in a row."""
    num_rows = -(-len(examples) // 2)
    figure = new_figure(9.0, 2.2 * num_rows)
    axes = figure.subplots(num_rows, 2, squeeze=False)
    for place, example in zip(axes.flat, examples, strict=False):
        waterfall(place, example, currency)
    for place in axes.flat[len(examples) :]:
        place.set_axis_off()
    return picture(figure, "value of customers from the highest to the lowest, part by part")


def waterfall(axes: Axes, example: ExampleCustomer, currency: str) -> None:
    """Bars from revenue down by each cost and by discounting to the value."""
    losses = {
        "refunds": example.refunds,
        "goods": example.goods_cost,
        "service": example.service_cost,
        "marketing": example.marketing_cost,
        "discounting": example.discounting,
    }
    shown = {name: loss for name, loss in losses.items() if abs(loss) > NOTHING}
    steps = [example.revenue, *(-loss for loss in shown.values())]
    starts = [0.0, *np.cumsum(steps)[:-1].tolist()]
    heights = [*steps, example.clv]
    colors = [TOTAL, *(LOSS if step < 0 else GAIN for step in steps[1:]), TOTAL]
    bars = axes.bar(range(len(heights)), heights, bottom=[*starts, 0.0], color=colors)
    axes.bar_label(bars, [f"{height:,.2f}" for height in heights], fontsize=8, padding=2)
    axes.use_sticky_edges = False
    axes.margins(y=0.25)
    axes.axhline(0.0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(heights)), ["revenue", *shown, "value"], fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    label_money(axes, currency, size=8)
    action = spaced(example.next_best_action)
    title = f"{example.customer_id}: {example.segment}, {example.stage}, {action}"
    axes.set_title(title, fontsize=8, parse_math=False)
