"""Candidates for re-ranking out of the full catalogue: a customer's own items, items bought with them, popular ones.

The three lists are merged by weighted reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR
2009): an item scores the sum over the lists that hold it of weight / (FUSION_CONSTANT + its rank
there). Purchases, popularity and rankings are the frames of `lifecycle.recommend.baselines`;
inside, `customer` is a position in the customers asked for and `item` one in the sorted catalogue.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from lifecycle.folders import write_json
from lifecycle.recommend.baselines import before, item_popularity, merge_popularity, popular_unseen
from lifecycle.recommend.histories import with_positions
from lifecycle.recommend.neighbours import nearest_neighbours, recent_items, similarity_matrix

# Chosen on The Complete Journey at 2017-07-01 (best recall of 50 candidates) and on the validation items of Amazon
# Beauty; half-life and number of recent items at 2017-05-07 and 2017-07-02 (best recall@20 at both). The paper's
# constant of 60 is as good, but fills the list of a rich customer with own items alone.
FUSION_CONSTANT = 10.0
OWN_WEIGHT = 2.0
TOGETHER_WEIGHT = 1.0
POPULAR_WEIGHT = 0.25


@dataclass(frozen=True)
class Retriever:
    """A fitted retriever over a catalogue of n items; `item` is the position in `item_ids`."""

    item_ids: pl.Series  # (n,) sorted
    popular: pl.DataFrame  # item_id, score, best first; items nobody bought have 0
    # (n, n) float64, row: the nearest neighbours of an item and their similarity.
    similarity: sparse.csr_array
    half_life_days: float  # the age at which an order counts half in a customer's own frequency
    num_recent: int  # a customer's last distinct items, whose neighbours are proposed

    @cached_property
    def is_sold(self) -> np.ndarray:
        """Whether anybody bought an item in the days that its popularity is of, (n,)."""
        found: np.ndarray = (self.popular.sort("item_id")["score"] > 0).to_numpy()
        return found


def fit_retriever(
    shards: Iterable[pl.DataFrame],
    catalogue_ids: pl.Series,
    *,
    cutoff: datetime,
    half_life_days: float = 90.0,
    num_recent: int = 100,
    num_neighbours: int = 50,
) -> Retriever:
    """A retriever from the purchases before the cutoff; a shard holds all purchases of its customers.

    Only items of the catalogue are ever proposed. At most `num_recent` items per customer are kept
    between shards.
    """
    if half_life_days <= 0 or num_recent < 1 or num_neighbours < 1:
        raise ValueError(
            "half_life_days, num_recent and num_neighbours of a retriever must be positive"
        )
    item_ids = catalogue_ids.drop_nulls().unique().sort()
    if item_ids.is_empty():
        raise ValueError("the catalogue is empty; a retriever needs items to propose")
    popularities = [pl.DataFrame(schema={"item_id": pl.String, "score": pl.Float64})]
    baskets = [sparse.csr_array((0, len(item_ids)))]
    for purchases in shards:
        popularities.append(item_popularity(purchases, cutoff=cutoff))
        baskets.append(_baskets(before(purchases, cutoff), item_ids, num_recent))
    popular = item_ids.to_frame("item_id").join(
        merge_popularity(popularities), on="item_id", how="left"
    )
    return Retriever(
        item_ids=item_ids,
        popular=popular.fill_null(0.0).sort("score", "item_id", descending=[True, False]),
        similarity=nearest_neighbours(sparse.vstack(baskets).tocsr(), num_neighbours),
        half_life_days=half_life_days,
        num_recent=num_recent,
    )


def _baskets(known: pl.DataFrame, item_ids: pl.Series, num_recent: int) -> sparse.csr_array:
    """The last items of each customer of a shard, a 0/1 matrix (customers, items)."""
    last = (
        with_positions(known, item_ids)
        .group_by("customer_id", "item")
        .agg(pl.col("occurred_at").max().alias("last_at"))
    )
    customer = (pl.col("customer_id").rank("dense") - 1).alias("customer")
    num_customers = last["customer_id"].n_unique()
    shape = (num_customers, len(item_ids))
    return recent_items(last.with_columns(customer), num_recent, shape)


def propose(
    retriever: Retriever,
    purchases: pl.DataFrame,
    customer_ids: pl.Series,
    *,
    cutoff: datetime,
    num_candidates: int,
    exclude_seen: bool,
    popular: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The best `num_candidates` items for each of `customer_ids` (each once, in their order), as a ranking.

    Customers without purchases before the cutoff get popular items. There are fewer rows only where
    the catalogue has no more items to offer. `popular` holds those rows of the retriever's that may
    be offered; None: all.
    """
    if num_candidates < 1:
        raise ValueError(
            f"num_candidates is {num_candidates}; a retriever proposes at least 1 item"
        )
    customers = customer_ids.to_frame("customer_id").with_row_index("customer")
    bought = before(purchases, cutoff).join(customers, on="customer_id")
    known = with_positions(bought, retriever.item_ids)
    own = decayed_orders(known, cutoff, retriever.half_life_days)
    together = bought_with(retriever, own, customers.height)
    if popular is not None:
        offered = with_positions(popular, retriever.item_ids).select("item")
        own = own.join(offered, on="item", how="semi")
        together = together.join(offered, on="item", how="semi")
    seen = known if exclude_seen else known.clear()
    popular = retriever.popular if popular is None else popular
    padding = popular_unseen(popular, customer_ids, seen, num_candidates)
    padding = with_positions(padding.join(customers, on="customer_id"), retriever.item_ids)
    if exclude_seen:
        together = together.join(own, on=["customer", "item"], how="anti")
        own = own.clear()
    lists = [(own, OWN_WEIGHT), (together, TOGETHER_WEIGHT), (padding, POPULAR_WEIGHT)]
    merged = fuse(lists, num_candidates)
    names = retriever.item_ids.gather(merged["item"]).alias("item_id")
    named = merged.with_columns(names).join(customers, on="customer").sort("customer", "rank")
    return named.select("customer_id", "rank", "item_id", "score")


def decayed_orders(known: pl.DataFrame, cutoff: datetime, half_life_days: float) -> pl.DataFrame:
    """customer, item, score = sum over the customer's distinct orders of 2^(-age / half-life), and last_at."""
    orders = known.group_by("customer", "item", "order_id").agg(pl.col("occurred_at").max())
    age_days = (pl.lit(cutoff) - pl.col("occurred_at")).dt.total_seconds(fractional=True) / 86_400
    score = (2.0 ** (-age_days / half_life_days)).sum().alias("score")
    # Sorted: items of the same orders get equal sums to the last bit, whatever the order of the rows.
    ordered = orders.sort("occurred_at", "order_id")
    by_item = ordered.group_by("customer", "item", maintain_order=True)
    return by_item.agg(score, pl.col("occurred_at").max().alias("last_at"))


def bought_with(retriever: Retriever, own: pl.DataFrame, num_customers: int) -> pl.DataFrame:
    """customer, item, score = summed similarity to the customer's recent items, where it is not zero."""
    recent = recent_items(own, retriever.num_recent, (num_customers, len(retriever.item_ids)))
    scores = (recent @ retriever.similarity).tocoo()
    columns = {
        "customer": scores.row.astype(np.uint32),
        "item": scores.col.astype(np.uint32),
        "score": scores.data,
    }
    return pl.DataFrame(columns)


def fuse(lists: list[tuple[pl.DataFrame, float]], num_candidates: int) -> pl.DataFrame:
    """customer, item, score, rank: the weighted reciprocal rank fusion of frames customer, item, score.

    Ties, in a list and in the result, go to the first in the catalogue.
    """
    parts = []
    for frame, weight in lists:
        score = weight / (FUSION_CONSTANT + pl.col("rank"))
        parts.append(with_ranks(frame).select("customer", "item", score=score))
    by_item = pl.concat(parts).group_by("customer", "item", maintain_order=True)
    total = by_item.agg(pl.col("score").sum())
    return with_ranks(total).filter(pl.col("rank") <= num_candidates)


def with_ranks(scored: pl.DataFrame) -> pl.DataFrame:
    """customer, item, score sorted by customer and best first, with the rank from 1."""
    ordered = scored.sort("customer", "score", "item", descending=[False, True, False])
    return ordered.with_columns(pl.int_range(1, pl.len() + 1).over("customer").alias("rank"))


def save_retriever(folder: Path, retriever: Retriever) -> None:
    """Write items.parquet (in order of popularity), neighbours.parquet and retriever.json into an existing folder."""
    retriever.popular.write_parquet(folder / "items.parquet")
    pairs = retriever.similarity.tocoo()
    columns = {
        "item": pairs.row.astype(np.int64),
        "other": pairs.col.astype(np.int64),
        "score": pairs.data,
    }
    pl.DataFrame(columns).write_parquet(folder / "neighbours.parquet")
    settings = {"half_life_days": retriever.half_life_days, "num_recent": retriever.num_recent}
    write_json(folder / "retriever.json", settings)


def load_retriever(folder: Path) -> Retriever:
    """The retriever that `save_retriever` wrote into a folder."""
    popular = pl.read_parquet(folder / "items.parquet")
    item_ids = popular["item_id"].sort()
    similarity = similarity_matrix(pl.read_parquet(folder / "neighbours.parquet"), len(item_ids))
    settings = json.loads((folder / "retriever.json").read_text())
    return Retriever(
        item_ids, popular, similarity, settings["half_life_days"], settings["num_recent"]
    )
