"""Items like one item: what the same customers bought, then what sells best of its category, then of all."""

import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.recommend.prompts import item_text
from lifecycle.recommend.retrieval import Retriever
from lifecycle.state.answers import Answer
from serving.predict.filters import allowed_items, require_columns, require_known_items
from serving.predict.problems import NO_ITEMS, InvalidRequest, Problem
from serving.predict.queries import RecommendOptions
from serving.predict.reasons import NOT_SOLD, POPULAR

TOGETHER = "bought by the same customers"
SAME_CATEGORY = "popular in the same category"
OF_CATEGORY = "of the same category"


def similar_items(artifact: Artifact, item_id: str, options: RecommendOptions) -> Answer | None:
    """At most `options.k` items of those that the options let through; None for an item that nobody knows.

    InvalidRequest names the options that this artifact cannot serve.
    """
    require_known_items(artifact.items, options)
    if artifact.retriever is None:
        raise InvalidRequest([Problem("item_id", NO_ITEMS)])
    require_columns(artifact.items, options)
    own = artifact.items.filter(pl.col("item_id") == item_id)
    if own.is_empty():
        return None
    allowed = allowed_items(artifact.items, options)
    offered = (artifact.items if allowed is None else allowed).filter(pl.col("item_id") != item_id)
    together = _together(artifact.retriever, item_id)
    popular = artifact.retriever.popular.rename({"score": "sold"})
    known = offered.join(popular, on="item_id").join(together, on="item_id", how="left")
    is_alike = (pl.col("category") == own["category"][0]).fill_null(False)
    is_sold = pl.col("sold") > 0
    reason = (
        pl.when(pl.col("score").is_not_null())
        .then(pl.lit(TOGETHER))
        .when(is_alike & is_sold)
        .then(pl.lit(SAME_CATEGORY))
        .when(is_alike)
        .then(pl.lit(OF_CATEGORY))
        .when(is_sold)
        .then(pl.lit(POPULAR))
        .otherwise(pl.lit(NOT_SOLD))
    )
    rows = known.with_columns(pl.col("score").fill_null(0.0), alike=is_alike, reason=reason)
    best = rows.sort("score", "alike", "sold", "item_id", descending=[True, True, True, False])
    listed = best.head(options.k).select("item_id", "title", "category", "score", "reason")
    return {
        "item_id": item_id,
        "similar": [
            {"item_id": name, "title": item_text(title, category), "score": score, "reason": why}
            for name, title, category, score, why in listed.iter_rows()
        ],
    }


def _together(retriever: Retriever, item_id: str) -> pl.DataFrame:
    """item_id and score of the items that the same customers bought."""
    place = retriever.item_ids.search_sorted(item_id)
    if place == len(retriever.item_ids) or retriever.item_ids[place] != item_id:
        return pl.DataFrame(schema={"item_id": pl.String, "score": pl.Float64})
    row = retriever.similarity[[place]].tocoo()
    return pl.DataFrame({"item_id": retriever.item_ids.gather(row.col), "score": row.data})
