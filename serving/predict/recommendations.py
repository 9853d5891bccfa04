"""The recommendation side of the predictor: ranking over the items that are offered, and reasons."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl
from pydantic import JsonValue

from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import is_purchase, with_shop_days
from lifecycle.names import RERANKER
from lifecycle.recommend.baselines import before
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.histories import with_positions
from lifecycle.recommend.prompts import item_text
from lifecycle.recommend.rankers import rank_items
from lifecycle.state.answers import Answer
from serving.predict.filters import allowed_items, require_columns, require_known_items
from serving.predict.problems import NO_ITEMS, InvalidRequest, Problem
from serving.predict.queries import CustomerQuery, RecommendOptions, cutoff_of, events_of, names_of
from serving.predict.reasons import habits_of, others_say, own_reason
from serving.predict.routing import Asked, cutoffs_of, routes
from serving.predict.rules import first_by_rules
from serving.predict.titles import TitleReader, read_titles


def recommend(
    artifact: Artifact,
    customers: Sequence[CustomerQuery],
    options: RecommendOptions,
    reader: TitleReader | None = None,
) -> list[Answer]:
    """The answer of /v1/recommendations for each customer, in order; customers without history get popular items.

    `reader` re-ranks, but for a margin, which any item may be lifted by.
    InvalidRequest names the options that this artifact cannot serve.
    """
    require_known_items(artifact.items, options)
    router = artifact.settings.router
    if artifact.retriever is None or router is None:
        raise InvalidRequest([Problem("customers", NO_ITEMS)])
    require_columns(artifact.items, options)
    if not customers:
        return []
    as_of = [cutoff_of(customer, artifact.data_end) for customer in customers]
    purchases = _purchases(artifact, customers, as_of)
    asked = routes(artifact, router, customers, as_of, purchases)
    bought = with_positions(purchases, artifact.retriever.item_ids)
    if options.objective == "margin":
        reader = None
    ranked = _ranked(artifact, purchases, bought, asked, options, reader)
    habits = habits_of(bought, asked)
    pair = ["customer_id", "item_id"]
    known = ranked.join(habits, on=pair, how="left", maintain_order="left")
    new = known.filter(pl.col("times").is_null())
    listed = _listed(known, others_say(artifact, new, bought, asked))
    return [
        {
            "customer_id": customer.customer_id,
            "recommendations": listed.get(one.name, []),
            "model": RERANKER if _is_read(artifact, reader, one.model) else one.model,
            "group": customer_group(one.num_orders),
            "as_of": one.as_of.isoformat(),
        }
        for one, customer in zip(asked, customers, strict=True)
    ]


def _purchases(
    artifact: Artifact, customers: Sequence[CustomerQuery], as_of: Sequence[datetime]
) -> pl.DataFrame:
    """The purchases of items, each customer's before its instant, as `before` gives them."""
    events = with_shop_days(events_of(customers), artifact.settings.timezone)
    cutoffs = pl.DataFrame({"customer_id": names_of(customers), "cutoff": as_of})
    purchases = events.filter(is_purchase()).join(cutoffs, on="customer_id", maintain_order="left")
    return before(purchases, pl.col("cutoff"))


def _ranked(
    artifact: Artifact,
    purchases: pl.DataFrame,
    bought: pl.DataFrame,
    asked: Sequence[Asked],
    options: RecommendOptions,
    reader: TitleReader | None,
) -> pl.DataFrame:
    """customer_id, item_id, title, category and score of the k best items that may be recommended, best first."""
    rankers = artifact.rankers
    assert rankers is not None
    allowed = allowed_items(artifact.items, options)
    offered = None
    if allowed is not None:
        is_offered = pl.col("item_id").is_in(allowed["item_id"].implode())
        offered = rankers.retriever.popular.filter(is_offered)
    everything = rankers.retriever.popular if offered is None else offered
    num_items = max(everything.height, 1)  # rankings have a length where nothing is offered too
    alike: dict[tuple[datetime, str], list[Asked]] = {}
    for one in asked:
        alike.setdefault((one.as_of, one.model), []).append(one)

    def rank(length: int) -> pl.DataFrame:
        # A margin may lift any item, so that all offered ones are ranked before it is looked at.
        k = length if options.objective == "probability" else num_items
        rankings = []
        for (instant, model), some in alike.items():
            is_read = _is_read(artifact, reader, model)
            ranking = rank_items(
                model,
                rankers,
                # Encoders know items too that have left the catalogue.
                purchases if model in rankers.encoders else bought,
                pl.Series("customer_id", [one.name for one in some]),
                cutoff=instant,
                k=max(k, reader.settings.num_candidates) if reader and is_read else k,
                exclude_seen=artifact.settings.exclude_seen,
                offered=offered,
                segments=[one.segment for one in some],
            )
            if model in rankers.encoders and options.objective == "margin":
                ranking = ranking.with_columns(pl.col("score").exp())
            if reader is not None and is_read:
                ranking = read_titles(reader, ranking, bought, length)
            rankings.append(ranking)
        ranked = with_positions(pl.concat(rankings), artifact.catalogue["item_id"])
        described = ranked.hstack(artifact.catalogue[ranked["item"]].drop("item_id"))
        return _by_margin(described, length) if options.objective == "margin" else described

    cutoffs = cutoffs_of(asked)
    return first_by_rules(rank, bought, cutoffs, options, num_items)


def _by_margin(ranked: pl.DataFrame, k: int) -> pl.DataFrame:
    """By what each item is expected to earn; one without a margin earns nothing."""
    margin = pl.col("margin").cast(pl.Float64).fill_nan(0.0).fill_null(0.0)
    earned = ranked.with_columns(pl.col("score") * margin)
    best_first = earned.sort("score", descending=True, maintain_order=True)
    return best_first.group_by("customer_id", maintain_order=True).head(k)


def _is_read(artifact: Artifact, reader: TitleReader | None, model: str) -> bool:
    """Whether LLaMA re-ranks what this ranker proposes: it was judged on the lists of one alone."""
    return reader is not None and model == artifact.settings.recommender


def _listed(ranked: pl.DataFrame, others: Iterable[str]) -> dict[str, list[JsonValue]]:
    """By customer the ranked items as they are answered; `others` is told of those new to the customer, in order."""
    told = iter(others)
    times = pl.col("times").fill_null(0)
    columns = ("customer_id", "item_id", "title", "category", "score", times, "every", "since")
    listed: dict[str, list[JsonValue]] = {}
    for name, item, title, category, score, *habit in ranked.select(columns).iter_rows():
        listed.setdefault(name, []).append(
            {
                "item_id": item,
                "title": item_text(title, category),
                "score": score,
                "reason": own_reason(*habit) or next(told),
            }
        )
    return listed
