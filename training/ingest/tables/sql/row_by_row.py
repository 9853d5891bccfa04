"""Whether an expression looks at other rows than its own, by its form: values cannot tell it from a few rows."""

import json

import polars as pl
from pydantic import JsonValue

# As polars names them: aggregates, windows, the number of rows, and what moves values between rows.
NODES = frozenset(
    {"Agg", "Over", "Rolling", "Len", "Explode", "Gather", "Sort", "SortBy", "Slice", "Filter"}
)
FUNCTIONS = frozenset(
    {"Rank", "Shift", "Range", "Quantile", "Correlation", "Unique", "DropNulls", "Mode"}
)


def looks_at_other_rows(expression: pl.Expr) -> bool:
    """Whether it has an aggregate or a window, wherever it stands: SUM(x), a = MAX(a), ROW_NUMBER() OVER (...)."""
    tree: JsonValue = json.loads(expression.meta.serialize(format="json"))
    return _has(tree)


def _has(tree: JsonValue) -> bool:
    if isinstance(tree, list):
        return any(map(_has, tree))
    if not isinstance(tree, dict):
        return isinstance(tree, str) and tree in NODES
    if NODES & tree.keys():
        return True
    parts = {key: part for key, part in tree.items() if key not in ("Column", "Literal", "dtype")}
    function = parts.pop("function", None)
    name = next(iter(function), None) if isinstance(function, dict) else function
    return name in FUNCTIONS or any(map(_has, parts.values()))
