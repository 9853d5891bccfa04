"""Customer attributes as numbers that trees read, by codes fixed at training time.

Attributes have no date: what the table of customers says today stands for every cutoff, and so does
whom it leaves out. A shop that learns an attribute only of customers who stay must not declare it
usable for prediction.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from lifecycle.config import Config
from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import read_data_manifest

PREFIX = "attribute_"  # of columns that hold attributes: a shop may name them as it likes
MAX_CATEGORIES = 30


class AttributeCode(Config):
    """How an attribute becomes a number: itself, or its place among the categories; all others come last."""

    name: str
    categories: tuple[str, ...] | None  # None: it is a number


def usable_attributes(data: Path) -> list[str]:
    """The attributes that an ingest folder declares usable for prediction."""
    declared = read_data_manifest(data).usable_attributes
    return [name for name in declared if name not in ("customer_id", OWN_RATE)]


def read_customers(data: Path) -> pl.DataFrame:
    """The table of customers by customer_id: OWN_RATE (null: the shop's) and, with PREFIX, the usable attributes.

    No rows where the shop gave none.
    """
    table = data / "customers.parquet"
    usable = usable_attributes(data)
    if not table.exists():
        return pl.DataFrame(schema={"customer_id": pl.String, OWN_RATE: pl.Float64})
    rows = pl.scan_parquet(table)
    known = rows.collect_schema()
    rate = pl.col(OWN_RATE) if OWN_RATE in known else pl.lit(None, dtype=pl.Float64).alias(OWN_RATE)
    attributes = [pl.col(name).alias(PREFIX + name) for name in usable if name in known]
    return rows.select("customer_id", rate, *attributes).sort("customer_id").collect()


def fit_attributes(customers: pl.DataFrame) -> tuple[AttributeCode, ...]:
    """Codes of those attributes of `read_customers` that say anything."""
    codes = []
    for column in customers.columns:
        known = customers[column].drop_nulls()
        if not column.startswith(PREFIX) or known.is_empty():
            continue
        name = column.removeprefix(PREFIX)
        if known.dtype.is_numeric():
            codes.append(AttributeCode(name=name, categories=None))
        else:
            counts = known.cast(pl.String).alias("value").value_counts(name="times")
            ordered = counts.sort("times", "value", descending=[True, False])
            frequent = ordered.head(MAX_CATEGORIES)["value"]
            codes.append(AttributeCode(name=name, categories=tuple(sorted(frequent))))
    return tuple(codes)


def encode(codes: Sequence[AttributeCode], customers: pl.DataFrame) -> list[pl.Series]:
    """A column of numbers, (n,), for each code; null where the table has no value, or a number is none."""
    return [_encoded(code, customers) for code in codes]


def _encoded(code: AttributeCode, customers: pl.DataFrame) -> pl.Series:
    column = PREFIX + code.name
    if column not in customers.columns:
        return pl.Series(column, [None] * customers.height, dtype=pl.Float64)
    values = customers[column]
    if code.categories is None:
        numbers = values.cast(pl.Float64, strict=False)
        return numbers.set(~numbers.is_finite().fill_null(False), None)
    places: dict[str | None, float | None] = {None: None}
    places |= {category: float(place) for place, category in enumerate(code.categories)}
    other = float(len(code.categories))
    found = [places.get(value, other) for value in values.cast(pl.String)]
    return pl.Series(column, found, dtype=pl.Float64)


def category_of(codes: Sequence[AttributeCode], column: str, value: float) -> str | None:
    """The category that a column of `encode` means by a number; None where the number is the attribute itself."""
    code = next((code for code in codes if PREFIX + code.name == column), None)
    if code is None or code.categories is None:
        return None
    return code.categories[int(value)] if value < len(code.categories) else "other"


def given(code: AttributeCode, value: str | float | int | bool | None) -> str | float | None:
    """An attribute of a request as the table of customers would hold it; of a truth value, in whatever letter case."""
    if value is None:
        return None
    if code.categories is not None:
        if not isinstance(value, bool):
            return str(value)
        text = str(value).lower()
        alike = (category for category in code.categories if category.lower() == text)
        return next(alike, text)
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
