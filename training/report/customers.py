"""Sections of report.html on the test customers: segments, stages, groups, attributes, prospects."""

from collections.abc import Mapping

import numpy as np

from training.report.page import Cell, Paragraph, Picture, Section, Table, new_figure, picture
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


def segments_section(segments: Mapping[str, SegmentTotals]) -> Section:
    """How many customers each value segment has, and what they are worth and spent."""
    total = sum(segment.clv for segment in segments.values())
    rows: list[list[Cell]] = [
        [
            name,
            segment.num_customers,
            segment.clv / segment.num_customers,
            segment.clv / total if total else None,
            segment.predicted / segment.num_customers,
            segment.actual / segment.num_customers,
        ]
        for name, segment in segments.items()
    ]
    header = [
        "segment",
        "customers",
        "mean value",
        "share of value",
        "mean predicted spend",
        "mean actual spend",
    ]
    return Section("Value segments", [Table(header, rows)])


def stages_section(found: Customers) -> Section:
    """Customers by stage and next best action, and where a stage leads."""
    stages = Table(["stage", "customers"], list(found.stages.items()))
    actions = Table(["next best action", "customers"], list(found.actions.items()))
    parts: list[Table | Picture] = [stages, actions]
    if found.transitions.shares:
        parts.append(_transitions(found.transitions, list(found.stages)))
    return Section("Stages, where they lead, and what to do", parts)


def _transitions(found: Transitions, stages: list[str]) -> Picture:
    """A row per stage before, a column per stage after, those left out in which nobody was."""
    shares = found.shares
    columns = [name for name in stages if name in shares or _is_reached(name, shares)]
    table = np.array([_shares_of(row, columns) for row in shares.values()])
    figure = new_figure(6.0, 3.6)
    axes = figure.subplots()
    axes.imshow(table, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(table.shape):
        share = table[row, column]
        color = "white" if share > DARK else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(columns)), columns)
    labels = [f"{name} ({found.num_customers[name]})" for name in shares]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel(f"{found.days} days later")
    return picture(figure, "share of the customers of a stage that is in each stage later")


def _is_reached(stage: str, shares: Mapping[str, Mapping[str, float]]) -> bool:
    return any(row[stage] for row in shares.values())


def _shares_of(row: Mapping[str, float], columns: list[str]) -> list[float]:
    return [row[name] for name in columns]


def groups_section(found: HiddenGroups) -> Section:
    """Groups by the encoder's states, the highest predicted spend first."""
    said = (
        "groups.parquet has the group of each customer, from 0 in this order. "
        f"Stability {found.stability:.2f}, 1 where half of the customers give the same groups, 0 for chance."
    )
    if found.stability < STABLE:
        said += " These are hardly groups: customers differ by degrees."
    rows: list[list[Cell]] = [
        [group.num_customers, group.predicted, group.actual, group.description]
        for group in found.groups
    ]
    header = ["customers", "mean predicted spend", "mean actual spend", "what tells them apart"]
    return Section(
        "Hidden groups: whom the sequence encoder takes for alike",
        [Paragraph(said), Table(header, rows)],
    )


def attributes_section(attributes: Mapping[str, Mapping[str, AttributeGroup]]) -> Section:
    """Error and bias by every attribute that the shop declared, protected ones included."""
    rows: list[list[Cell]] = []
    for attribute, groups in attributes.items():
        for value, group in groups.items():
            rows.append([attribute, value, group.num_customers, group.mae, group.bias])
    header = ["attribute", "value", "customers", "mean absolute error", "bias"]
    return Section("Error and bias by attribute", [Table(header, rows)])


def prospects_section(found: Prospects) -> Section:
    """How many were expected to buy, and did."""
    said = (
        f"{found.num_customers} of them; rates of {found.num_train_rows} rows at earlier cutoffs."
    )
    rows: list[list[Cell]] = [
        ["buyers", found.buyers.predicted, found.buyers.actual],
        ["spend", found.spend.predicted, found.spend.actual],
    ]
    table = Table(["within the horizon", "predicted", "actual"], rows)
    return Section("Customers who had not bought before the cutoff", [Paragraph(said), table])
