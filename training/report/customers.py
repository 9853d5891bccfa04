"""Sections of report.html on the test customers: segments, stages, groups, attributes, prospects."""

from collections.abc import Mapping

import numpy as np

from training.report.page import (
    Cell,
    Paragraph,
    Part,
    Picture,
    Section,
    Table,
    money_cell,
    new_figure,
    picture,
)
from training.report.words.models import spaced
from training.results.customers import (
    AttributeGroup,
    Customers,
    HiddenGroups,
    Prospects,
    SegmentTotals,
    Transitions,
)

STABLE = 0.6
DARK = 0.6  # shares from which on the label is white


def segments_section(segments: Mapping[str, SegmentTotals], currency: str) -> Section:
    """Whether the customers of each value segment spent as they were expected to."""
    rows: list[list[Cell]] = [
        [
            name,
            segment.num_customers,
            money_cell(segment.predicted / segment.num_customers),
            money_cell(segment.actual / segment.num_customers),
            segment.predicted / segment.actual if segment.actual > 0 else None,
        ]
        for name, segment in segments.items()
    ]
    header = [
        "segment",
        "customers",
        f"mean expected spend ({currency})",
        f"mean actual spend ({currency})",
        "expected / actual",
    ]
    caption = "Spend of the test customers within the horizon, by value segment"
    return Section("Did the segments spend as expected?", [Table(caption, header, rows)])


def stages_section(found: Customers, cutoff: str | None) -> Section:
    """Customers by stage and next best action, and where a stage leads."""
    rows: list[list[Cell]] = [[name, count] for name, count in found.stages.items() if count]
    parts: list[Part] = [
        Table("Test customers, and who had not bought yet, by stage", ["stage", "customers"], rows)
    ]
    actions: list[list[Cell]] = [[spaced(name), count] for name, count in found.actions.items()]
    if actions:
        parts.append(
            Table("Test customers by next best action", ["next best action", "customers"], actions)
        )
    if found.transitions.shares:
        parts.append(
            Paragraph(
                f"From left to right: of the customers of a stage {found.transitions.days} days before {cutoff} "
                "(their number in brackets), the share that was in each stage on that day."
            )
        )
        parts.append(_transitions(found.transitions, list(found.stages)))
    return Section("Stages, what to do, and where stages lead", parts)


def _transitions(found: Transitions, stages: list[str]) -> Picture:
    """A row per stage before, a column per stage after, those left out in which nobody was."""
    shares = found.shares
    columns = [name for name in stages if name in shares or _is_reached(name, shares)]
    table = np.array([_shares_of(row, columns) for row in shares.values()])
    figure = new_figure(7.0, 3.6)
    axes = figure.subplots()
    axes.imshow(table, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(table.shape):
        share = table[row, column]
        color = "white" if share > DARK else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(columns)), columns)
    labels = [f"{name} ({found.num_customers[name]})" for name in shares]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel(f"stage {found.days} days later")
    axes.set_ylabel("stage before (customers)")
    return picture(figure, "share of the customers of a stage that is in each stage later")


def _is_reached(stage: str, shares: Mapping[str, Mapping[str, float]]) -> bool:
    return any(row[stage] for row in shares.values())


def _shares_of(row: Mapping[str, float], columns: list[str]) -> list[float]:
    return [row[name] for name in columns]


def groups_section(found: HiddenGroups, currency: str) -> Section:
    """Groups by the encoder's states, the highest predicted spend first."""
    said = (
        "groups.parquet has the group of each customer, from 0 in this order. "
        f"Stability {found.stability:.2f}, 1 where half of the customers give the same groups, 0 for chance."
    )
    if found.stability < STABLE:
        said += " These are hardly groups: customers differ by degrees."
    rows: list[list[Cell]] = [
        [
            group.num_customers,
            money_cell(group.predicted),
            money_cell(group.actual),
            group.description,
        ]
        for group in found.groups
    ]
    header = [
        "customers",
        f"mean expected spend ({currency})",
        f"mean actual spend ({currency})",
        "what tells them apart",
    ]
    return Section(
        "Hidden groups: whom the sequence encoder takes for alike",
        [Paragraph(said), Table("Groups, the highest expected spend first", header, rows)],
    )


def attributes_section(
    attributes: Mapping[str, Mapping[str, AttributeGroup]], currency: str
) -> Section:
    """Error and bias by every attribute that the shop declared, protected ones included."""
    rows: list[list[Cell]] = []
    for attribute, groups in attributes.items():
        for value, group in groups.items():
            told = spaced(attribute)
            rows.append([told, value, group.num_customers, group.mae, group.bias])
    header = [
        "attribute",
        "value",
        "customers",
        f"mean absolute error ({currency})",
        "expected / actual",
    ]
    caption = "Test customers by what the table of customers says of them"
    return Section("Error and bias by attribute", [Table(caption, header, rows)])


def prospects_section(found: Prospects, currency: str) -> Section:
    """How many were expected to buy, and did."""
    said = (
        f"{found.num_customers} customers. They were expected to do what {found.num_train_rows} such "
        "did after earlier cutoffs."
    )
    rows: list[list[Cell]] = [
        ["buyers", found.buyers.predicted, found.buyers.actual],
        [f"spend ({currency})", found.spend.predicted, found.spend.actual],
    ]
    table = Table("Within the horizon", ["", "expected", "actual"], rows)
    return Section("Customers who had not bought before the cutoff", [Paragraph(said), table])
