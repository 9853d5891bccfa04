"""Customers like a customer, among a sample whose vectors over the catalogue are known."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.ranker import in_blocks, keep_best

MAX_NEIGHBOURS = 4000  # customers among whom neighbours are sought
MAX_ITEMS = 100  # of each: the rest weighs next to nothing, and costs most of the time
# From this cosine on a customer is taken for the same one, who is no neighbour.
SAME_COSINE = 1 - 1e-9


@dataclass(frozen=True)
class AmongCustomers(ABC):
    """A ranker that asks what customers like a customer buy; `others` are those among whom they are sought."""

    others: sparse.csr_array  # (sampled customers, items)

    @cached_property
    def _by_item(self) -> sparse.csr_array:
        return self.others.T.tocsr()

    @cached_property
    def _lengths(self) -> np.ndarray:
        return norms(self.others)

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """See Ranker."""
        return in_blocks(histories, self._of_block, offered)

    def _compared(self, own: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
        """The scalar products with the others, by what own vectors like best, and the lengths of these."""
        best = liked_best(own)
        return (best @ self._by_item).toarray(), norms(best)

    @abstractmethod
    def _of_block(self, block: Histories) -> sparse.csr_array: ...


def sampled(vectors: sparse.csr_array) -> sparse.csr_array:
    """At most MAX_NEIGHBOURS customers who bought anything, evenly spread, and what each likes best."""
    vectors = liked_best(vectors)
    known = np.flatnonzero(np.diff(vectors.indptr))
    places = np.linspace(0, len(known) - 1, min(len(known), MAX_NEIGHBOURS)).round().astype(int)
    return vectors[known[places]]


def liked_best(vectors: sparse.csr_array) -> sparse.csr_array:
    """The MAX_ITEMS highest entries of each row, by which customers are compared."""
    return keep_best(vectors, MAX_ITEMS)


def norms(vectors: sparse.csr_array) -> np.ndarray:
    """The Euclidean length of each row."""
    found: np.ndarray = np.sqrt(vectors.multiply(vectors).sum(axis=1))
    return found


def without_same(closeness: np.ndarray, product: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The closeness to others, minus infinity for those whose vector points where the customer's own does.

    `lengths` is the product of both lengths.
    """
    return np.where(product >= SAME_COSINE * lengths, -np.inf, closeness)


def nearest(closeness: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the k highest finite values of each row."""
    k = min(k, closeness.shape[1])
    columns = np.argpartition(-closeness, k - 1, axis=1)[:, :k] if k else np.zeros((0, 0), int)
    rows = np.repeat(np.arange(len(columns)), k)
    columns = columns.ravel()
    is_finite = np.isfinite(closeness[rows, columns])
    return rows[is_finite], columns[is_finite]


def with_others(
    own: sparse.csr_array,
    own_weight: float,
    others: sparse.csr_array,
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
) -> sparse.csr_array:
    """own_weight x own vectors + the weighted vectors of the others at `columns`, for the customers at `rows`."""
    num_own = own.shape[0]
    shape = (num_own, others.shape[0])
    around = sparse.csr_array((weights, (rows, columns)), shape=shape)
    both = sparse.hstack([own_weight * sparse.eye_array(num_own), around], format="csr")
    # One product: a sum of two would sort and merge long rows.
    return both @ sparse.vstack([own, others], format="csr")


def order_places(histories: Histories) -> np.ndarray:
    """For each line the place of its order among the customer's, 0 for the latest."""
    firsts = histories.orders
    ends = np.cumsum(histories.num_orders)
    of_order = ends[histories.customer[firsts]] - 1 - np.arange(len(firsts))
    return np.repeat(of_order, np.diff(firsts, append=len(histories.order)))
