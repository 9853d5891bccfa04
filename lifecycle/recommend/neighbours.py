"""Which items are bought by the same customers: the nearest neighbours of every item of a catalogue."""

import numpy as np
import polars as pl
from scipy import sparse

# Added to the cosine's denominator: a pair bought by two customers is no evidence.
SHRINKAGE = 30.0
BLOCK_ITEMS = 8192  # rows of the item-item product held at once


def recent_items(last: pl.DataFrame, num_recent: int, shape: tuple[int, int]) -> sparse.csr_array:
    """A 0/1 matrix (customers, items) of each customer's last distinct items, from customer, item, last_at.

    Ties in time go to the first in the catalogue.
    """
    newest = last.sort("customer", "last_at", "item", descending=[False, True, False])
    pairs = newest.group_by("customer", maintain_order=True).agg(pl.col("item").head(num_recent))
    pairs = pairs.explode("item", empty_as_null=False)
    positions = (pairs["customer"].to_numpy(), pairs["item"].to_numpy())
    return sparse.csr_array((np.ones(pairs.height), positions), shape=shape)


def nearest_neighbours(baskets: sparse.csr_array, num_neighbours: int) -> sparse.csr_array:
    """Each item's most similar other items: co-occurrences / (sqrt(n_i n_j) + SHRINKAGE), shape (items, items).

    `baskets` is a 0/1 matrix (baskets, items). Ties go to the first in the catalogue.
    """
    num_items = baskets.shape[1]
    root = np.sqrt(baskets.sum(axis=0))
    by_item = baskets.T.tocsr()
    blocks = [pl.DataFrame(schema={"item": pl.Int64, "other": pl.Int64, "score": pl.Float64})]
    for start in range(0, num_items, BLOCK_ITEMS):
        counts = (by_item[start : start + BLOCK_ITEMS] @ baskets).tocoo()
        item = counts.row.astype(np.int64) + start
        other = counts.col.astype(np.int64)
        score = counts.data / (root[item] * root[other] + SHRINKAGE)
        pairs = pl.DataFrame({"item": item, "other": other, "score": score})
        apart = pairs.filter(pl.col("item") != pl.col("other"))
        nearest = apart.sort("item", "score", "other", descending=[False, True, False])
        blocks.append(nearest.group_by("item", maintain_order=True).head(num_neighbours))
    return similarity_matrix(pl.concat(blocks), num_items)


def similarity_matrix(pairs: pl.DataFrame, num_items: int) -> sparse.csr_array:
    """The matrix (items, items) of a frame item, other, score of positions."""
    positions = (pairs["item"].to_numpy(), pairs["other"].to_numpy())
    return sparse.csr_array((pairs["score"].to_numpy(), positions), shape=(num_items, num_items))
