"""What every ranker of histories is: fitted from the past of all customers, asked for the scores of some."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories

BLOCK_CUSTOMERS = 256  # whose scores are computed at once
KEPT_ITEMS = 300  # of a customer, where a ranker scores the whole catalogue


class Ranker(Protocol):
    """A fitted ranker."""

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """How likely each customer buys each item next: (customers, items), above 0 where it has an opinion.

        Of the items that are `offered` (items,) alone; None: all. What a customer's row says does not
        depend on the others in the batch.
        """


@dataclass(frozen=True)
class Past:
    """What rankers are fitted to, all before one cutoff."""

    histories: Histories  # of all customers, or a sample of them
    similarity: sparse.csr_array  # (items, items), the nearest neighbours of each item


def in_blocks(
    histories: Histories,
    scores: Callable[[Histories], sparse.csr_array],
    offered: np.ndarray | None,
) -> sparse.csr_array:
    """The KEPT_ITEMS best scores of each customer, where those of all at once would not fit into memory."""
    parts = [sparse.csr_array((0, histories.num_items))]
    for first in range(0, histories.num_customers, BLOCK_CUSTOMERS):
        block = histories.block(first, first + BLOCK_CUSTOMERS)
        parts.append(keep_best(only_offered(scores(block), offered), KEPT_ITEMS))
    return sparse.vstack(parts, format="csr")


def only_offered(scores: sparse.csr_array, offered: np.ndarray | None) -> sparse.csr_array:
    """The scores of the items that may be recommended."""
    return scores if offered is None else kept_entries(scores, offered[scores.indices])


def kept_entries(matrix: sparse.csr_array, is_kept: np.ndarray) -> sparse.csr_array:
    """The entries of a matrix that are to stay."""
    bounds = np.append(0, np.cumsum(is_kept))[matrix.indptr]
    entries = (matrix.data[is_kept], matrix.indices[is_kept], bounds)
    return sparse.csr_array(entries, shape=matrix.shape)


def keep_best(scores: sparse.csr_array, k: int) -> sparse.csr_array:
    """The k highest entries above 0 of each row; ties go to the first in the catalogue."""
    kept = [
        low + best_places(scores.data[low:high], scores.indices[low:high], k)
        for low, high in zip(scores.indptr[:-1], scores.indptr[1:], strict=True)
    ]
    bounds = np.append(0, np.cumsum([len(places) for places in kept]))
    places = np.concatenate([np.zeros(0, dtype=np.int64), *kept])
    entries = (scores.data[places], scores.indices[places], bounds)
    return sparse.csr_array(entries, shape=scores.shape)


def best_places(values: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """The places of the k highest values above 0, by item; ties go to the first item."""
    least = max(np.partition(values, len(values) - k)[len(values) - k], 0) if len(values) > k else 0
    places = np.flatnonzero((values >= least) & (values > 0))
    if len(places) > k:  # there are ties
        places = places[np.lexsort((items[places], -values[places]))][:k]
    by_item: np.ndarray = places[np.argsort(items[places])]
    return by_item
