"""UP-CF: user-wise popularity in the latest orders, of a customer and of alike ones (Faggioli et al., UMAP 2020)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.customers import (
    liked_best,
    nearest,
    norms,
    order_places,
    products,
    sampled,
    with_others,
    without_same,
)
from lifecycle.recommend.scorers.ranker import Past, in_blocks

ASYMMETRY = (
    0.25  # the paper's alpha: the power of the customer's own length; the other's has the rest
)
NUM_NEIGHBOURS = 100  # the closest; powers leave the rest no weight


@dataclass(frozen=True)
class UpCf:
    """Own popularity + that of others weighted by their similarity to the power of `locality`."""

    others: sparse.csr_array  # (sampled customers, items)
    num_recent: int  # orders that count
    locality: float

    @cached_property
    def _by_item(self) -> sparse.csr_array:
        return self.others.T.tocsr()

    @cached_property
    def _lengths(self) -> np.ndarray:
        return norms(self.others)

    def scores(self, histories: Histories) -> sparse.csr_array:
        """See Ranker."""
        return in_blocks(histories, self._of_block)

    def _of_block(self, block: Histories) -> sparse.csr_array:
        own = user_wise_popularity(block, self.num_recent)
        best = liked_best(own)
        product, length = products(best, self._by_item), norms(best)
        scale = length[:, None] ** (2 * ASYMMETRY) * self._lengths ** (2 - 2 * ASYMMETRY)
        alike = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
        apart = without_same(alike, product, length[:, None] * self._lengths)
        rows, columns = nearest(apart, NUM_NEIGHBOURS)
        weights = alike[rows, columns] ** self.locality
        return with_others(own, 1.0, self.others, rows, columns, weights)


def user_wise_popularity(histories: Histories, num_recent: int) -> sparse.csr_array:
    """The share of each customer's last `num_recent` orders that hold an item: (customers, items)."""
    is_recent = order_places(histories) < num_recent
    counted = np.minimum(histories.num_orders, num_recent)[histories.customer]
    shares = histories.matrix(histories.pairs.total(is_recent / counted))
    shares.eliminate_zeros()
    return shares


def fit_up_cf(past: Past, *, num_recent: float, locality: float) -> UpCf:
    """The popularities of the customers among whom alike ones are sought."""
    others = sampled(user_wise_popularity(past.histories, int(num_recent)))
    return UpCf(others, int(num_recent), locality)
