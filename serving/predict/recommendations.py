"""The recommendation side of the predictor: ranking over the items that are offered, and reasons."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
from pydantic import JsonValue

from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import is_purchase, with_shop_days
from lifecycle.names import RETRIEVER
from lifecycle.recommend.baselines import before
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.prompts import item_text
from lifecycle.recommend.rankers import rank_items
from lifecycle.recommend.retrieval import with_positions
from serving.predict.filters import allowed_items, require_columns, require_known_items
from serving.predict.problems import InvalidRequest, Problem
from serving.predict.queries import Answer, CustomerQuery, RecommendOptions, cutoff_of


def recommend(
    artifact: Artifact, customers: Sequence[CustomerQuery], options: RecommendOptions
) -> list[Answer]:
    """The answer of /v1/recommendations for each customer, in order; customers without history get popular items.

    InvalidRequest names the options that this artifact cannot serve.
    """
    require_known_items(artifact.items, options)
    if artifact.retriever is None:
        message = "the artifact was made from data that name no items; it recommends none"
        raise InvalidRequest([Problem("customers", message)])
    require_columns(artifact.items, options)
    allowed = allowed_items(artifact.items, options)
    popular = artifact.retriever.popular
    if allowed is None:
        offered = artifact.items
    else:
        offered = allowed
        popular = popular.filter(pl.col("item_id").is_in(allowed["item_id"].implode()))
    return [_recommend_one(artifact, customer, options, offered, popular) for customer in customers]


def _recommend_one(
    artifact: Artifact,
    customer: CustomerQuery,
    options: RecommendOptions,
    offered: pl.DataFrame,
    popular: pl.DataFrame,
) -> Answer:
    as_of = cutoff_of(customer, artifact.data_end)
    bought = _purchases(artifact, customer, as_of)
    own = bought.filter(pl.col("item_id").is_in(popular["item_id"].implode()))
    # A margin may lift any item, so that all offered ones are ranked before it is looked at.
    k = options.k if options.objective == "probability" else popular.height
    ranked = _ranked(artifact, own, popular, as_of, k)
    ranked = ranked.join(offered, on="item_id", maintain_order="left")
    if options.objective == "margin":
        ranked = _by_margin(ranked)
    return {
        "customer_id": customer.customer_id,
        "recommendations": _told(ranked.head(options.k), bought, _related(artifact, bought)),
        "model": artifact.settings.recommender,
        "group": customer_group(bought["order_id"].n_unique()),
        "as_of": as_of.isoformat(),
    }


def _by_margin(ranked: pl.DataFrame) -> pl.DataFrame:
    """By what each item is expected to earn; one without a margin earns nothing."""
    margin = pl.col("margin").cast(pl.Float64).fill_nan(0.0).fill_null(0.0)
    earned = ranked.with_columns(pl.col("score") * margin)
    return earned.sort("score", descending=True, maintain_order=True)


def _told(ranked: pl.DataFrame, bought: pl.DataFrame, related: set[str]) -> list[JsonValue]:
    """The ranked items as they are answered."""
    orders = dict(bought.group_by("item_id").agg(pl.col("order_id").n_unique()).iter_rows())
    rows = ranked.select("item_id", "title", "category", "score").iter_rows()
    return [
        {
            "item_id": item,
            "title": item_text(title, category),
            "score": score,
            "reason": _reason(orders.get(item, 0), item in related),
        }
        for item, title, category, score in rows
    ]


def _purchases(artifact: Artifact, customer: CustomerQuery, as_of: datetime) -> pl.DataFrame:
    """customer_id, order_id, item_id, occurred_at of the customer's purchases of catalogue items before `as_of`."""
    assert artifact.retriever is not None
    events = with_shop_days(customer.events, artifact.settings.timezone)
    purchases = events.filter(is_purchase())
    known = with_positions(before(purchases, as_of), artifact.retriever.item_ids)
    return known.with_columns(pl.lit(customer.customer_id or "").alias("customer_id"))


def _ranked(
    artifact: Artifact, own: pl.DataFrame, popular: pl.DataFrame, as_of: datetime, k: int
) -> pl.DataFrame:
    """item_id and score of the k best items of `popular` for the customer of the purchases `own`, best first."""
    retriever = artifact.retriever
    recommender = artifact.settings.recommender
    assert retriever is not None and recommender is not None
    customers = own["customer_id"].unique() if own.height else pl.Series("customer_id", [""])
    ranking = rank_items(
        recommender,
        retriever,
        own,
        customers,
        cutoff=as_of,
        k=k,
        exclude_seen=artifact.settings.exclude_seen,
        offered=popular if popular.height < retriever.popular.height else None,
    )
    return ranking.select("item_id", "score")


def _related(artifact: Artifact, bought: pl.DataFrame) -> set[str]:
    """The items that other customers bought together with those of `bought`, where the recommender looks at that."""
    retriever = artifact.retriever
    if retriever is None or artifact.settings.recommender != RETRIEVER:
        return set()
    neighbours = np.unique(retriever.similarity[bought["item"].unique().to_numpy()].indices)
    return set(retriever.item_ids.gather(neighbours))


def _reason(num_orders: int, is_related: bool) -> str:
    if num_orders > 1:
        return f"bought in {num_orders} orders before"
    if num_orders == 1:
        return "bought once before"
    return (
        "bought together with earlier purchases" if is_related else "popular with other customers"
    )
