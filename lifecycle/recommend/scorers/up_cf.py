"""UP-CF: user-wise popularity in the latest orders, of a customer and of alike ones (Faggioli et al., UMAP 2020)."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.customers import (
    AmongCustomers,
    nearest,
    order_places,
    sampled,
    with_others,
    without_same,
)
from lifecycle.recommend.scorers.ranker import Past

ASYMMETRY = (
    0.25  # the paper's alpha: the power of the customer's own length; the other's has the rest
)
NUM_NEIGHBOURS = 100  # the closest; powers leave the rest no weight


@dataclass(frozen=True)
class UpCf(AmongCustomers):
    """Own popularity + that of others weighted by their similarity to the power of `locality`."""

    num_recent: int  # orders that count
    locality: float

    def _of_block(self, block: Histories) -> sparse.csr_array:
        own = user_wise_popularity(block, self.num_recent)
        product, length = self._compared(own)
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
