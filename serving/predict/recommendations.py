"""The recommendation side of the predictor: filters, ranking over the allowed items, reasons."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import is_purchase
from lifecycle.names import RETRIEVER
from lifecycle.recommend.baselines import before
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.prompts import item_text
from lifecycle.recommend.rankers import rank_items
from lifecycle.recommend.retrieval import with_positions
from serving.predict.queries import JSON, CustomerQuery, RecommendOptions, cutoff_of

IN_STOCK = ("true", "yes", "y", "1", "1.0")  # how shops write it, in lower case


def recommend(
    artifact: Artifact, customers: Sequence[CustomerQuery], options: RecommendOptions
) -> list[dict[str, JSON]]:
    """The answer of /v1/recommendations for each customer, in order; customers without history get popular items.

    Raises ValueError, with the name of the field first, for an option that this artifact cannot
    serve.
    """
    if artifact.retriever is None:
        raise ValueError(
            "customers: the artifact was made from data that name no items; it recommends none"
        )
    allowed = allowed_items(artifact.items, options)
    popular = artifact.retriever.popular
    if allowed is not None:
        popular = popular.filter(pl.col("item_id").is_in(allowed["item_id"].implode()))
    offered = allowed if allowed is not None else artifact.items
    return [_recommend_one(artifact, customer, options, offered, popular) for customer in customers]


def allowed_items(items: pl.DataFrame, options: RecommendOptions) -> pl.DataFrame | None:
    """The rows of the catalogue that the filters let through; None where there is no filter."""
    for field, ids in (("candidates", options.candidates or ()), ("exclude", options.exclude)):
        unknown = sorted(set(ids) - set(items["item_id"])) if ids else []
        if unknown:
            raise ValueError(
                f"{field}: the catalogue has no item {', '.join(map(repr, unknown[:5]))}"
            )
    conditions = _conditions(items, options)
    if options.candidates is not None:
        conditions.append(pl.col("item_id").is_in(options.candidates))
    if options.exclude:
        conditions.append(~pl.col("item_id").is_in(options.exclude))
    return items.filter(conditions) if conditions else None


def _conditions(items: pl.DataFrame, options: RecommendOptions) -> list[pl.Expr]:
    """One per attribute asked for; an item without the attribute does not pass."""
    if options.in_stock is not None and "in_stock" not in items.columns:
        raise ValueError("in_stock: the item catalogue has no column in_stock")
    if options.objective == "margin":
        if "margin" not in items.columns:
            raise ValueError("objective: the item catalogue has no column margin")
        if (
            items["margin"].cast(pl.Float64, strict=False).null_count()
            > items["margin"].null_count()
        ):
            raise ValueError(
                "objective: column margin of the item catalogue holds values that are no numbers"
            )
    for field in ("min_price", "max_price"):
        if getattr(options, field) is not None and items["price"].null_count() == items.height:
            raise ValueError(f"{field}: the item catalogue has no prices")
    conditions = []
    if options.category is not None:
        conditions.append(pl.col("category").str.to_lowercase() == options.category.lower())
    if options.query is not None:
        title = pl.col("title").str.to_lowercase()
        conditions.extend(
            title.str.contains(word, literal=True) for word in options.query.lower().split()
        )
    if options.min_price is not None:
        conditions.append(pl.col("price") >= options.min_price)
    if options.max_price is not None:
        conditions.append(pl.col("price") <= options.max_price)
    if options.in_stock is not None:
        has_stock = pl.col("in_stock").cast(pl.String).str.to_lowercase().is_in(IN_STOCK)
        conditions.append(has_stock == options.in_stock)
    return conditions


def _recommend_one(
    artifact: Artifact,
    customer: CustomerQuery,
    options: RecommendOptions,
    offered: pl.DataFrame,
    popular: pl.DataFrame,
) -> dict[str, JSON]:
    as_of = cutoff_of(customer, artifact.data_end)
    bought = _purchases(artifact, customer, as_of)
    own = bought.filter(pl.col("item_id").is_in(popular["item_id"].implode()))
    # A margin may lift any item, so that all offered ones are ranked before it is looked at.
    k = options.k if options.objective == "probability" else popular.height
    ranked = _ranked(artifact, own, popular, as_of, k).join(
        offered, on="item_id", maintain_order="left"
    )
    if options.objective == "margin":
        by_margin = pl.col("score") * pl.col("margin").cast(pl.Float64).fill_nan(0.0).fill_null(0.0)
        ranked = ranked.with_columns(by_margin).sort("score", descending=True, maintain_order=True)
    related = _related(artifact, bought)
    orders = dict(bought.group_by("item_id").agg(pl.col("order_id").n_unique()).iter_rows())
    answer: list[JSON] = [
        {
            "item_id": item,
            "title": item_text(title, category),
            "score": score,
            "reason": _reason(orders.get(item, 0), item in related),
        }
        for item, title, category, score in ranked.head(options.k)
        .select("item_id", "title", "category", "score")
        .iter_rows()
    ]
    return {
        "customer_id": customer.customer_id,
        "recommendations": answer,
        "model": artifact.settings.recommender,
        "group": customer_group(bought["order_id"].n_unique()),
        "as_of": as_of.isoformat(),
    }


def _purchases(artifact: Artifact, customer: CustomerQuery, as_of: datetime) -> pl.DataFrame:
    """customer_id, order_id, item_id, occurred_at of the customer's purchases of catalogue items before `as_of`."""
    assert artifact.retriever is not None
    purchases = customer.events.filter(is_purchase())
    known = with_positions(before(purchases, as_of), artifact.retriever.item_ids)
    return known.with_columns(pl.lit(customer.customer_id or "").alias("customer_id"))


def _ranked(
    artifact: Artifact, own: pl.DataFrame, popular: pl.DataFrame, as_of: datetime, k: int
) -> pl.DataFrame:
    """item_id and score of the k best items of `popular` for the customer of the purchases `own`, best first."""
    settings, retriever = artifact.settings, artifact.retriever
    assert retriever is not None
    customers = own["customer_id"].unique() if own.height else pl.Series("customer_id", [""])
    assert settings.recommender is not None
    ranking = rank_items(
        settings.recommender, retriever, own, customers, cutoff=as_of, k=k, exclude_seen=settings.exclude_seen,
        offered=popular if popular.height < retriever.popular.height else None,
    )  # fmt: skip
    return ranking.select("item_id", "score")


def _related(artifact: Artifact, bought: pl.DataFrame) -> set[str]:
    """The items that other customers bought together with those of `bought`, where the recommender looks at that."""
    retriever = artifact.retriever
    if retriever is None or artifact.settings.recommender != RETRIEVER:
        return set()
    neighbours = np.unique(retriever.similarity[bought["item"].unique().to_numpy()].indices)
    return set(retriever.item_ids.gather(neighbours))


def _reason(num_orders: int, is_related: bool) -> str:
    if num_orders == 0:
        return (
            "bought together with earlier purchases"
            if is_related
            else "popular with other customers"
        )
    return "bought once before" if num_orders == 1 else f"bought in {num_orders} orders before"
