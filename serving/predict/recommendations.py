"""The recommendation side of the predictor: ranking over the items that are offered, and reasons."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
from pydantic import JsonValue
from scipy import sparse

from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import is_purchase, with_shop_days
from lifecycle.names import RANK_STACK, RERANKER, RETRIEVER
from lifecycle.recommend.baselines import before
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.histories import DAY_SECONDS, with_positions
from lifecycle.recommend.prompts import item_text
from lifecycle.recommend.rankers import rank_items
from lifecycle.state.answers import Answer
from serving.predict.filters import allowed_items, require_columns, require_known_items
from serving.predict.problems import NO_ITEMS, InvalidRequest, Problem
from serving.predict.queries import CustomerQuery, RecommendOptions, cutoff_of, events_of, names_of
from serving.predict.rules import cutoff_frame, first_by_rules
from serving.predict.titles import TitleReader, read_titles

# Rankers that look at what is bought together, and at when an item is bought again.
KNOW_NEIGHBOURS = (RETRIEVER, "item_knn", RANK_STACK)
KNOW_INTERVALS = ("repurchase", RANK_STACK)
DUE_ORDERS = 3  # fewer tell no interval
DUE_FROM, DUE_UNTIL = 0.75, 2.0  # of the interval


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
    if artifact.retriever is None:
        raise InvalidRequest([Problem("customers", NO_ITEMS)])
    require_columns(artifact.items, options)
    if not customers:
        return []
    as_of = [cutoff_of(customer, artifact.data_end) for customer in customers]
    bought = _purchases(artifact, customers, as_of)
    if options.objective == "margin":
        reader = None
    ranked = _ranked(artifact, bought, as_of, options, reader)
    habits = _habits(artifact, bought, as_of)
    listed = _listed(artifact, ranked, habits, bought)
    orders = dict(bought.group_by("customer_id").agg(pl.col("order_id").n_unique()).iter_rows())
    return [
        {
            "customer_id": customer.customer_id,
            "recommendations": listed.get(name, []),
            "model": artifact.settings.recommender if reader is None else RERANKER,
            "group": customer_group(orders.get(name, 0)),
            "as_of": as_of[place].isoformat(),
        }
        for place, (name, customer) in enumerate(zip(names_of(customers), customers, strict=True))
    ]


def _purchases(
    artifact: Artifact, customers: Sequence[CustomerQuery], as_of: Sequence[datetime]
) -> pl.DataFrame:
    """The purchases of catalogue items, each customer's before its instant, as `before` gives them, with positions."""
    assert artifact.retriever is not None
    events = with_shop_days(events_of(customers), artifact.settings.timezone)
    cutoffs = pl.DataFrame({"customer_id": names_of(customers), "cutoff": as_of})
    purchases = events.filter(is_purchase()).join(cutoffs, on="customer_id", maintain_order="left")
    return with_positions(before(purchases, pl.col("cutoff")), artifact.retriever.item_ids)


def _ranked(
    artifact: Artifact,
    bought: pl.DataFrame,
    as_of: Sequence[datetime],
    options: RecommendOptions,
    reader: TitleReader | None,
) -> pl.DataFrame:
    """customer_id, item_id, title, category and score of the k best items that may be recommended, best first."""
    rankers, recommender = artifact.rankers, artifact.settings.recommender
    assert rankers is not None and recommender is not None
    allowed = allowed_items(artifact.items, options)
    offered = None
    if allowed is not None:
        is_offered = pl.col("item_id").is_in(allowed["item_id"].implode())
        offered = rankers.retriever.popular.filter(is_offered)
    everything = rankers.retriever.popular if offered is None else offered
    names = pl.Series("customer_id", names_of(as_of))

    def rank(length: int) -> pl.DataFrame:
        # A margin may lift any item, so that all offered ones are ranked before it is looked at.
        k = length if options.objective == "probability" else everything.height
        k = k if reader is None else max(k, reader.settings.num_candidates)
        rankings = [
            rank_items(
                recommender,
                rankers,
                bought,
                names.filter(pl.Series([other == instant for other in as_of])),
                cutoff=instant,
                k=k,
                exclude_seen=artifact.settings.exclude_seen,
                offered=offered,
            )
            for instant in dict.fromkeys(as_of)
        ]
        found = pl.concat(rankings)
        if reader is not None:
            found = read_titles(reader, found, bought, length)
        ranked = with_positions(found, artifact.catalogue["item_id"])
        described = ranked.hstack(artifact.catalogue[ranked["item"]].drop("item_id"))
        return _by_margin(described, length) if options.objective == "margin" else described

    cutoffs = cutoff_frame(names_of(as_of), as_of)
    return first_by_rules(rank, bought, cutoffs, options, everything.height)


def _by_margin(ranked: pl.DataFrame, k: int) -> pl.DataFrame:
    """By what each item is expected to earn; one without a margin earns nothing."""
    margin = pl.col("margin").cast(pl.Float64).fill_nan(0.0).fill_null(0.0)
    earned = ranked.with_columns(pl.col("score") * margin)
    best_first = earned.sort("score", descending=True, maintain_order=True)
    return best_first.group_by("customer_id", maintain_order=True).head(k)


def _habits(artifact: Artifact, bought: pl.DataFrame, as_of: Sequence[datetime]) -> pl.DataFrame:
    """By customer and item `times`, its number of orders; where it is due, `every` and `since`, in whole days.

    An item is due where about as many days have passed as usually between its orders.
    """
    pair = ["customer_id", "item_id"]
    at = pl.col("occurred_at")
    times = pl.col("order_id").n_unique()
    found = bought.group_by(pair).agg(times.alias("times"), first=at.min(), last=at.max())
    if artifact.settings.recommender not in KNOW_INTERVALS:
        return found.select(*pair, "times", every=None, since=None)
    cutoffs = cutoff_frame(names_of(as_of), as_of)
    passed = (pl.col("cutoff") - pl.col("last")).dt.total_seconds() / DAY_SECONDS
    usual = (pl.col("last") - pl.col("first")).dt.total_seconds() / DAY_SECONDS
    every = usual / (pl.col("times") - 1)
    late = passed / every
    is_due = (pl.col("times") >= DUE_ORDERS) & late.is_between(DUE_FROM, DUE_UNTIL) & (every >= 1.5)
    days = {"every": every.round(), "since": passed.round()}
    told = {
        name: pl.when(is_due).then(value.cast(pl.Int64, strict=False))
        for name, value in days.items()
    }
    return found.join(cutoffs, on="customer_id").select(*pair, "times", **told)


def _listed(
    artifact: Artifact, ranked: pl.DataFrame, habits: pl.DataFrame, bought: pl.DataFrame
) -> dict[str, list[JsonValue]]:
    """By customer the ranked items as they are answered."""
    pair = ["customer_id", "item_id"]
    known = ranked.join(habits, on=pair, how="left", maintain_order="left")
    is_new = known["times"].is_null().to_numpy()
    related = np.zeros(known.height, dtype=bool)
    related[is_new] = _related(artifact, known.filter(is_new), bought)
    times = pl.col("times").fill_null(0)
    rows = known.select(*pair, "title", "category", "score", times, "every", "since")
    listed: dict[str, list[JsonValue]] = {}
    for place, (name, item, title, category, score, *habit) in enumerate(rows.iter_rows()):
        listed.setdefault(name, []).append(
            {
                "item_id": item,
                "title": item_text(title, category),
                "score": score,
                "reason": _reason(*habit, is_related=bool(related[place])),
            }
        )
    return listed


def _related(artifact: Artifact, new: pl.DataFrame, bought: pl.DataFrame) -> np.ndarray:
    """Whether others bought an item new to a customer together with one of theirs, if the recommender looks at that."""
    retriever = artifact.retriever
    knows = artifact.settings.recommender in KNOW_NEIGHBOURS
    if retriever is None or new.is_empty() or not knows:
        return np.zeros(new.height, dtype=bool)
    asked_for = pl.col("customer_id").is_in(new["customer_id"].implode())
    pairs = bought.filter(asked_for).select("customer_id", "item").unique()
    rows, columns = pairs["customer_id"].cast(pl.Int64).to_numpy(), pairs["item"].to_numpy()
    asked = new["customer_id"].cast(pl.Int64).to_numpy()
    shape = (1 + max(rows.max(initial=0), asked.max(initial=0)), len(retriever.item_ids))
    own = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    found: np.ndarray = (own @ retriever.similarity)[asked, new["item"].to_numpy()] > 0
    return found


def _reason(num_orders: int, every: int | None, since: int | None, *, is_related: bool) -> str:
    if every is not None:
        return f"due: bought every {every} days, last {since} days ago"
    if num_orders > 1:
        return f"bought in {num_orders} orders before"
    if num_orders == 1:
        return "bought once before"
    return (
        "bought together with earlier purchases" if is_related else "popular with other customers"
    )
