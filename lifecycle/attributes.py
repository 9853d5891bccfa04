"""Customer attributes as numbers that trees read, by codes fixed at training time.

Attributes have no date: what the table of customers says today stands for every cutoff. A shop that learns an attribute
only of customers who stay must not declare it usable for prediction.
"""

from collections.abc import Sequence

import polars as pl

from lifecycle.config import Config

PREFIX = "attribute_"  # of the columns that trees read
MAX_CATEGORIES = 30


class AttributeCode(Config):
    """How an attribute becomes a number: itself, or its place among the categories; all others come last."""

    name: str
    categories: tuple[str, ...] | None  # None: it is a number


def fit_attributes(customers: pl.DataFrame, names: Sequence[str]) -> tuple[AttributeCode, ...]:
    """Codes of those attributes of a table of customers that say anything; its columns are text (`as_text`)."""
    codes = []
    for name in names:
        known = customers[name].drop_nulls()
        if known.is_empty():
            continue
        if known.cast(pl.Float64, strict=False).null_count() == 0:
            codes.append(AttributeCode(name=name, categories=None))
        else:
            frequent = known.value_counts(sort=True).sort("count", name, descending=[True, False])[name]
            codes.append(AttributeCode(name=name, categories=tuple(sorted(frequent.head(MAX_CATEGORIES)))))
    return tuple(codes)


def encode(codes: Sequence[AttributeCode], customers: pl.DataFrame) -> list[pl.Series]:
    """A column of numbers, (n,), for each code; null where the table has no value, or a number is none."""
    return [_encoded(code, customers) for code in codes]


def _encoded(code: AttributeCode, customers: pl.DataFrame) -> pl.Series:
    name = PREFIX + code.name
    if code.name not in customers.columns:
        return pl.Series(name, [None] * customers.height, dtype=pl.Float64)
    values = customers[code.name]
    if code.categories is None:
        return values.cast(pl.Float64, strict=False).alias(name)
    places = {category: float(place) for place, category in enumerate(code.categories)}
    found = values.replace_strict(places, default=float(len(places)), return_dtype=pl.Float64)
    return found.set(values.is_null(), None).alias(name)


def as_text(value: str | float | int | bool | None) -> str | None:
    """An attribute of a request as the table of customers has it."""
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)
