"""What is popular among customers who share an attribute: all that is known of somebody who has not bought yet."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from lifecycle.folders import write_json
from lifecycle.recommend.baselines import POPULARITY_WINDOW_DAYS
from lifecycle.recommend.histories import Histories, with_positions
from lifecycle.recommend.ordering import entries_at
from lifecycle.recommend.retrieval import Retriever
from lifecycle.recommend.scorers.files import load_arrays, save_arrays
from lifecycle.recommend.scorers.ranker import best_places

# Purchases of everybody that each segment is thought to have made beside its own.
SMOOTHINGS = (300.0, 3_000.0, 30_000.0)
NUM_HALVES = 2
FILE = "segments.json"
COUNTS = "segment_counts"
LISTED = {"value": pl.String, "rank": pl.Int64, "score": pl.Float64, "item_id": pl.String}


@dataclass(frozen=True)
class SegmentCounts:
    """What was bought in each segment, and how far it is trusted."""

    bought: sparse.csr_array  # (segments, items): orders of the last POPULARITY_WINDOW_DAYS
    smoothing: float


@dataclass(frozen=True)
class Segments:
    """Customers by the values of one attribute."""

    attribute: str
    values: tuple[str, ...]
    counts: SegmentCounts

    def ranking(
        self,
        values: pl.Series,
        customer_ids: pl.Series,
        retriever: Retriever,
        offered: pl.DataFrame,
        *,
        k: int,
    ) -> pl.DataFrame:
        """The k best of the `offered` rows of a popularity for each customer, of known `values`, as a ranking.

        The score is an item's share of what the segment buys. Ties go to the more popular item.
        """
        places = with_positions(offered, retriever.item_ids)["item"].to_numpy()
        expected = shares(offered["score"], retriever)
        lists = [pl.DataFrame(schema=LISTED)]
        for value in values.unique().sort():
            scores = self._scores(self.values.index(value), places, expected)
            best = best_places(scores, np.arange(len(scores)), k)
            best = best[np.argsort(-scores[best], kind="stable")]
            told = {"value": value, "rank": np.arange(len(best)) + 1, "score": scores[best]}
            lists.append(pl.DataFrame([*pl.DataFrame(told), offered["item_id"].gather(best)]))
        asked = pl.DataFrame([customer_ids.alias("customer_id"), values.alias("value")])
        rows = asked.join(pl.concat(lists), on="value", maintain_order="left_right")
        return rows.select("customer_id", "rank", "item_id", "score")

    def _scores(self, segment: int, places: np.ndarray, expected: np.ndarray) -> np.ndarray:
        own = self.counts.bought[[segment]].toarray()[0]
        smoothing = self.counts.smoothing
        scores: np.ndarray = (own[places] + smoothing * expected) / (own.sum() + smoothing)
        return scores


def shares(scores: pl.Series, retriever: Retriever) -> np.ndarray:
    """Scores of the retriever's popularity as shares of it, as if each item had been bought once more: none is zero."""
    popular = retriever.popular
    found: np.ndarray = (scores.to_numpy() + 1) / (popular["score"].sum() + popular.height)
    return found


def fit_segments(
    histories: Histories, attributes: pl.DataFrame, retriever: Retriever
) -> Segments | None:
    """The segments that tell most of what is bought; None where none tells more than its customers do together.

    `attributes` has a row for each customer of the histories, and text or null in its columns. An
    attribute, and how far its counts are trusted, are chosen by the likelihood of what one half of
    the customers bought by the counts of the other half.
    """
    recent = _recent(histories)
    in_catalogue = retriever.popular.sort("item_id")
    expected = shares(in_catalogue["score"], retriever)
    best, most_gained = None, 0.0
    for name in attributes.columns:
        values, members = _members(attributes[name])
        everybody = sparse.csr_array(np.ones((1, len(values))))
        told, smoothing = _told_at_best(members, recent, expected)
        together, _ = _told_at_best(everybody @ members, recent, expected)
        if told - together > most_gained:
            most_gained = told - together
            best = Segments(name, values, SegmentCounts(members @ recent, smoothing))
    return best


def _recent(histories: Histories) -> sparse.csr_array:
    """In how many orders of the last POPULARITY_WINDOW_DAYS each customer bought each item."""
    is_recent = histories.age_days <= POPULARITY_WINDOW_DAYS
    places = (histories.customer[is_recent], histories.item[is_recent])
    shape = (histories.num_customers, histories.num_items)
    return sparse.csr_array((np.ones(is_recent.sum()), places), shape=shape)


def _members(column: pl.Series) -> tuple[tuple[str, ...], sparse.csr_array]:
    """The values of an attribute, and a 0/1 matrix (values, customers) of who has which."""
    values = tuple(column.drop_nulls().unique().sort())
    is_known = column.is_not_null().to_numpy()
    row = np.searchsorted(np.array(values, dtype=object), column.drop_nulls().to_numpy())
    places = (row, np.flatnonzero(is_known))
    return values, sparse.csr_array((np.ones(len(row)), places), shape=(len(values), len(column)))


def _told_at_best(
    members: sparse.csr_array, recent: sparse.csr_array, expected: np.ndarray
) -> tuple[float, float]:
    """The most that is told, and the smoothing by which it is."""
    return max((_told(members, recent, expected, smoothing), smoothing) for smoothing in SMOOTHINGS)


def _told(
    members: sparse.csr_array, recent: sparse.csr_array, expected: np.ndarray, smoothing: float
) -> float:
    """By how much the log-likelihood of the purchases of each half of the customers rises by what the other tells."""
    half = np.arange(recent.shape[0]) % NUM_HALVES
    gained = 0.0
    for number in range(NUM_HALVES):
        is_asked = half == number
        asked = (members[:, is_asked] @ recent[is_asked]).tocoo()
        seen = members[:, ~is_asked] @ recent[~is_asked]
        known = entries_at(seen, asked.row, asked.col)
        share = expected[asked.col]
        total = np.asarray(seen.sum(axis=1)).ravel()[asked.row]
        gained += float(asked.data @ np.log((known / share + smoothing) / (total + smoothing)))
    return gained


def save_segments(folder: Path, segments: Segments) -> None:
    """Write into an existing folder."""
    write_json(folder / FILE, {"attribute": segments.attribute, "values": segments.values})
    save_arrays(folder, COUNTS, segments.counts)


def load_segments(folder: Path) -> Segments | None:
    """What `save_segments` wrote; None where nobody did."""
    if not (folder / FILE).exists():
        return None
    told = json.loads((folder / FILE).read_text())
    counts = load_arrays(folder, COUNTS, SegmentCounts)
    return Segments(told["attribute"], tuple(told["values"]), counts)
