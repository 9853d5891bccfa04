"""Why an item is recommended: what the customer did with it, or else what others did."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.names import RANK_STACK, RETRIEVER, SEGMENT_POPULARITY
from lifecycle.recommend.histories import DAY_SECONDS
from lifecycle.recommend.ordering import entries_at
from lifecycle.recommend.prompts import UNTITLED, item_text
from lifecycle.recommend.retrieval import Retriever
from serving.predict.routing import Asked, cutoffs_of

# Rankers that look at what is bought together, and at when an item is bought again.
KNOW_NEIGHBOURS = (RETRIEVER, "item_knn", RANK_STACK)
KNOW_INTERVALS = ("repurchase", RANK_STACK)
DUE_ORDERS = 3  # fewer tell no interval
DUE_FROM, DUE_UNTIL = 0.75, 2.0  # of the interval
POPULAR = "popular with other customers"
NOT_SOLD = "in the catalogue, not bought lately"
NOTHING = -1  # in the place of an item


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
    rankers = artifact.rankers
    assert rankers is not None
    segments = rankers.segments
    alike = "" if segments is None else segments.attribute.replace("_", " ")
    related = _related(rankers.retriever, new, bought, asked)
    names = _names(artifact, related)
    facts = zip(
        related.tolist(),
        _in_segment(artifact, new, asked),
        rankers.retriever.is_sold[new["item"].to_numpy()],
        strict=True,
    )
    return [
        f"bought by customers who bought {names[own]}"
        if own != NOTHING
        else f"popular with customers of the same {alike}"
        if is_in_segment
        else POPULAR
        if is_sold
        else NOT_SOLD
        for own, is_in_segment, is_sold in facts
    ]


def _names(artifact: Artifact, places: np.ndarray) -> dict[int, str]:
    """By place in the catalogue what items are called; without a title and category that is their id."""
    known = np.unique(places[places != NOTHING])
    rows = artifact.catalogue[known].select("item_id", "title", "category").iter_rows()
    return {place: _name(*row) for place, row in zip(known.tolist(), rows, strict=True)}


def _name(item_id: str, title: str | None, category: str | None) -> str:
    text = item_text(title, category)
    return f"item {item_id}" if text == UNTITLED else text


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
    retriever: Retriever, new: pl.DataFrame, bought: pl.DataFrame, asked: Sequence[Asked]
) -> np.ndarray:
    """The customer's item that most of the same customers bought, if its ranker looks at that; else NOTHING."""
    found = np.full(new.height, NOTHING)
    knows = np.array([one.model in KNOW_NEIGHBOURS for one in asked], dtype=bool)
    customer = new["customer_id"].cast(pl.Int64).to_numpy()
    rows = np.flatnonzero(knows[customer])
    items, column = np.unique(new["item"].to_numpy()[rows], return_inverse=True)
    row_of = np.full((len(asked), len(items)), NOTHING)
    row_of[customer[rows], column] = rows
    is_asked = pl.col("customer_id").is_in(new["customer_id"].implode())
    row, own, likeness = _neighbours(retriever, bought.filter(is_asked), items, row_of)
    # The last one that is written stays, which is the most alike.
    order = np.argsort(likeness, kind="stable")
    found[row[order]] = own[order]
    return found


def _neighbours(
    retriever: Retriever, bought: pl.DataFrame, items: np.ndarray, row_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of own items with neighbours among `items` of which `row_of` (customers, items) has a row: it, item, likeness."""
    pairs = bought.select(pl.col("customer_id").cast(pl.Int64), "item").unique().sort("item")
    customer, own = (pairs[name].to_numpy().astype(np.int64) for name in ("customer_id", "item"))
    lines = retriever.similarity[own]
    column_of = np.full(len(retriever.item_ids), NOTHING)
    column_of[items] = np.arange(len(items))
    column = column_of[lines.indices]
    entries = np.flatnonzero(column != NOTHING)
    line = np.repeat(np.arange(len(own)), np.diff(lines.indptr))[entries]
    row = row_of[customer[line], column[entries]]
    is_there = row != NOTHING
    return row[is_there], own[line[is_there]], lines.data[entries[is_there]]
