"""One scale for all numbers, for models that need it: rules from the recipe, statistics of the training rows alone.

Trees, buy-till-you-die models and prompts take the numbers as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from pydantic import JsonValue

from lifecycle.config import Config

ROUNDING = 1e-12  # relative; the deviation of a constant column is seldom exactly 0


class StandardisationRules(Config):
    """In this order: take the logarithm, fill in what is missing, centre and scale."""

    transform: Literal["log1p", "none"] = "log1p"  # log(1 + x); negative numbers count as 0
    missing: Literal["zero", "median"] = "zero"
    # By mean and deviation, or median and quartiles.
    scale: Literal["standard", "robust", "none"] = "standard"


@dataclass(frozen=True)
class ColumnScale:
    """What one column is filled, centred and divided with, after its transformation."""

    fill: float
    center: float
    spread: float


@dataclass(frozen=True)
class Standardisation:
    """Rules, and what they came to on the training rows."""

    rules: StandardisationRules
    columns: dict[str, ColumnScale]

    def apply(self, rows: pl.DataFrame, names: Sequence[str]) -> np.ndarray:
        """The named columns on one scale, float64 of shape (n, len(names)), without missing values."""
        return rows.select(self._expression(name) for name in names).to_numpy()

    def _expression(self, name: str) -> pl.Expr:
        column = self.columns[name]
        filled = _transformed(name, self.rules).fill_null(column.fill)
        return (filled - column.center) / column.spread

    def describe(self) -> dict[str, JsonValue]:
        """As JSON; `read` makes the same object of it."""
        return {
            "rules": self.rules.model_dump(),
            "columns": {name: vars(c) for name, c in self.columns.items()},
        }

    @classmethod
    def read(cls, content: object) -> Self:
        """What `describe` gave."""
        assert isinstance(content, dict)
        columns = {name: ColumnScale(**numbers) for name, numbers in content["columns"].items()}
        return cls(StandardisationRules.model_validate(content["rules"]), columns)


def fit_standardisation(
    train: Path, names: Sequence[str], rules: StandardisationRules
) -> Standardisation:
    """The statistics of the named columns of a Parquet file of training rows; a constant column has spread 1."""
    rows = pl.scan_parquet(train)
    columns = {}
    for name in names:
        values = rows.select(_transformed(name, rules)).collect().to_series()
        fill = 0.0 if rules.missing == "zero" else _number(values.median())
        center, spread = _center_and_spread(values.fill_null(fill), rules)
        is_constant = spread <= ROUNDING * max(abs(center), 1.0)
        columns[name] = ColumnScale(fill, center, 1.0 if is_constant else spread)
    return Standardisation(rules, columns)


def _transformed(name: str, rules: StandardisationRules) -> pl.Expr:
    column = pl.col(name).cast(pl.Float64)
    return column.clip(0).log1p() if rules.transform == "log1p" else column


def _center_and_spread(values: pl.Series, rules: StandardisationRules) -> tuple[float, float]:
    if rules.scale == "none":
        return 0.0, 1.0
    if rules.scale == "standard":
        return _number(values.mean()), _number(values.std(ddof=0))
    low = _number(values.quantile(0.25, "linear"))
    high = _number(values.quantile(0.75, "linear"))
    return _number(values.median()), high - low


def _number(value: object) -> float:
    """A statistic of a column, 0 where all of it is missing."""
    return float(value) if isinstance(value, int | float) else 0.0
