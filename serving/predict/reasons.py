"""Why an item is recommended: what the customer did with it, or else what others did."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import sparse

from lifecycle.artifact.contents import Artifact
from lifecycle.names import RANK_STACK, RETRIEVER, SEGMENT_POPULARITY
from lifecycle.recommend.histories import DAY_SECONDS
from lifecycle.recommend.ordering import entries_at
from serving.predict.routing import Asked, cutoffs_of

# Rankers that look at what is bought together, and at when an item is bought again.
KNOW_NEIGHBOURS = (RETRIEVER, "item_knn", RANK_STACK)
KNOW_INTERVALS = ("repurchase", RANK_STACK)
DUE_ORDERS = 3  # fewer tell no interval
DUE_FROM, DUE_UNTIL = 0.75, 2.0  # of the interval
TOGETHER = "bought together with earlier purchases"
POPULAR = "popular with other customers"


def habits_of(bought: pl.DataFrame, asked: Sequence[Asked]) -> pl.DataFrame:
    """By customer and item `times`, its number of orders; where it is due, `every` and `since`, in whole days.

    An item is due where about as many days have passed as usually between its orders, and the
    customer's ranker looks at that.
    """
    pair = ["customer_id", "item_id"]
    at = pl.col("occurred_at")
    times = pl.col("order_id").n_unique()
    found = bought.group_by(pair).agg(times.alias("times"), first=at.min(), last=at.max())
    knowing = [one for one in asked if one.model in KNOW_INTERVALS]
    if not knowing:
        return found.select(*pair, "times", every=None, since=None)
    cutoffs = cutoffs_of(knowing)
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
    return found.join(cutoffs, on="customer_id", how="left").select(*pair, "times", **told)


def own_reason(num_orders: int, every: int | None, since: int | None) -> str | None:
    """What the customer did with an item; None where that was nothing."""
    if every is not None:
        return f"due: bought every {every} days, last {since} days ago"
    if num_orders > 1:
        return f"bought in {num_orders} orders before"
    return "bought once before" if num_orders == 1 else None


def others_say(
    artifact: Artifact, new: pl.DataFrame, bought: pl.DataFrame, asked: Sequence[Asked]
) -> list[str]:
    """By row of `new`, items that a customer has not bought, what others did, if its ranker looks at that."""
    segments = None if artifact.rankers is None else artifact.rankers.segments
    alike = "" if segments is None else segments.attribute.replace("_", " ")
    pairs = zip(
        _related(artifact, new, bought, asked), _in_segment(artifact, new, asked), strict=True
    )
    return [
        TOGETHER
        if is_related
        else f"popular with customers of the same {alike}"
        if is_in_segment
        else POPULAR
        for is_related, is_in_segment in pairs
    ]


def _in_segment(artifact: Artifact, new: pl.DataFrame, asked: Sequence[Asked]) -> np.ndarray:
    """Whether anybody of the customer's segment bought an item."""
    found = np.zeros(new.height, dtype=bool)
    segments = None if artifact.rankers is None else artifact.rankers.segments
    if segments is None or not any(one.model == SEGMENT_POPULARITY for one in asked):
        return found
    places = [
        segments.values.index(one.segment)
        if one.model == SEGMENT_POPULARITY and one.segment
        else -1
        for one in asked
    ]
    segment = np.array(places)[new["customer_id"].cast(pl.Int64).to_numpy()]
    rows = np.flatnonzero(segment >= 0)
    items = new["item"].to_numpy()[rows]
    found[rows] = entries_at(segments.counts.bought, segment[rows], items) > 0
    return found


def _related(
    artifact: Artifact, new: pl.DataFrame, bought: pl.DataFrame, asked: Sequence[Asked]
) -> np.ndarray:
    """Whether others bought an item together with one of the customer's, whose ranker looks at that."""
    retriever = artifact.retriever
    knows = np.array([one.model in KNOW_NEIGHBOURS for one in asked])
    if retriever is None or not knows.any():
        return np.zeros(new.height, dtype=bool)
    is_asked = pl.col("customer_id").is_in(new["customer_id"].implode())
    pairs = bought.filter(is_asked).select("customer_id", "item").unique()
    rows, columns = pairs["customer_id"].cast(pl.Int64).to_numpy(), pairs["item"].to_numpy()
    customer = new["customer_id"].cast(pl.Int64).to_numpy()
    shape = (len(asked), len(retriever.item_ids))
    own = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    likeness = entries_at(own @ retriever.similarity, customer, new["item"].to_numpy())
    found: np.ndarray = (likeness > 0) & knows[customer]
    return found
