"""Which items of the catalogue the options of a request let through."""

from collections.abc import Sequence
from unicodedata import normalize

import polars as pl

from serving.predict.problems import InvalidRequest, Problem
from serving.predict.queries import RecommendOptions

IN_STOCK = ("true", "yes", "y", "1", "1.0")  # how shops write it, in lower case
TEXTS = ("title", "category")  # that queries are compared with


def require_known_items(items: pl.DataFrame, options: RecommendOptions) -> None:
    """InvalidRequest names the candidates, or else the exclusions, that the catalogue does not hold."""
    for field, item_ids in (("candidates", options.candidates or ()), ("exclude", options.exclude)):
        problems = _unknown_items(items, field, item_ids)
        if problems:
            raise InvalidRequest(problems)


def _unknown_items(items: pl.DataFrame, field: str, item_ids: Sequence[str]) -> list[Problem]:
    if not item_ids:
        return []
    is_known = pl.Series(item_ids, dtype=pl.String).is_in(items["item_id"].implode())
    return [
        Problem(f"{field}.{position}", "is not an item of the catalogue")
        for position, known in enumerate(is_known)
        if not known
    ]


def require_columns(items: pl.DataFrame, options: RecommendOptions) -> None:
    """InvalidRequest names the first option that needs what the catalogue does not tell of its items."""
    if options.in_stock is not None and "in_stock" not in items.columns:
        raise _refusal("in_stock", "the item catalogue has no column in_stock")
    if options.objective == "margin":
        _require_margins(items)
    known = {name for name in TEXTS + ("price",) if items[name].null_count() < items.height}
    needs = (
        ("category", options.category, ("category",), "categories"),
        ("max_per_category", options.max_per_category, ("category",), "categories"),
        ("query", options.query, TEXTS, "titles and no categories"),
        ("min_price", options.min_price, ("price",), "prices"),
        ("max_price", options.max_price, ("price",), "prices"),
    )
    for field, value, columns, told in needs:
        if value is not None and known.isdisjoint(columns):
            raise _refusal(field, f"the item catalogue has no {told}")


def _require_margins(items: pl.DataFrame) -> None:
    if "margin" not in items.columns:
        raise _refusal("objective", "the item catalogue has no column margin")
    margins = items["margin"]
    if margins.cast(pl.Float64, strict=False).null_count() > margins.null_count():
        message = "column margin of the item catalogue holds values that are no numbers"
        raise _refusal("objective", message)


def _refusal(field: str, message: str) -> InvalidRequest:
    return InvalidRequest([Problem(field, message)])


def allowed_items(items: pl.DataFrame, options: RecommendOptions) -> pl.DataFrame | None:
    """The rows of the catalogue that pass every filter; None where there is no filter.

    An item that lacks the attribute asked for does not pass.
    """
    conditions = [*_attribute_filters(options), *_list_filters(options)]
    return items.filter(conditions) if conditions else None


def _attribute_filters(options: RecommendOptions) -> list[pl.Expr]:
    conditions = []
    if options.category is not None:
        conditions.append(_written(pl.col("category")) == _asked(options.category))
    if options.query is not None:
        # New items too are found so: nothing but their texts is known of them.
        texts = [_written(pl.col(name)) for name in TEXTS]
        for word in _asked(options.query).split():
            conditions.append(
                pl.any_horizontal(text.str.contains(word, literal=True) for text in texts)
            )
    if options.min_price is not None:
        conditions.append(pl.col("price") >= options.min_price)
    if options.max_price is not None:
        conditions.append(pl.col("price") <= options.max_price)
    if options.in_stock is not None:
        has_stock = pl.col("in_stock").cast(pl.String).str.to_lowercase().is_in(IN_STOCK)
        conditions.append(has_stock == options.in_stock)
    return conditions


def _asked(text: str) -> str:
    """Text without case, in which letters that look alike are alike, whatever keyboard they came from."""
    return normalize("NFKC", text).lower()


def _written(text: pl.Expr) -> pl.Expr:
    """The same of a column."""
    return text.cast(pl.String).str.normalize("NFKC").str.to_lowercase()


def _list_filters(options: RecommendOptions) -> list[pl.Expr]:
    conditions = []
    if options.candidates is not None:
        conditions.append(pl.col("item_id").is_in(options.candidates))
    if options.exclude:
        conditions.append(~pl.col("item_id").is_in(options.exclude))
    return conditions
