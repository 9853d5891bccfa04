"""TIFU-KNN: personal frequency that fades in two steps, and that of nearby customers (Hu et al., SIGIR 2020)."""

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

GROUP_SIZE = 7  # orders
ORDER_DECAY = 0.9  # from one order of a group to the one before it


@dataclass(frozen=True)
class TifuKnn(AmongCustomers):
    """own_share x own vector + (1 - own_share) x mean vector of the nearest customers."""

    group_decay: float  # from one group of orders to the one before it
    own_share: float
    num_neighbours: int

    def _of_block(self, block: Histories) -> sparse.csr_array:
        own = vectors(block, self.group_decay)
        product, length = self._compared(own)
        # The nearest by Euclidean distance; the customer's own length is the same for all.
        closeness = 2 * product - self._lengths**2
        apart = without_same(closeness, product, length[:, None] * self._lengths)
        rows, columns = nearest(apart, self.num_neighbours)
        found = np.bincount(rows, minlength=own.shape[0])
        weights = (1 - self.own_share) / found[rows]
        return with_others(own, self.own_share, self.others, rows, columns, weights)


def vectors(histories: Histories, group_decay: float) -> sparse.csr_array:
    """The mean over groups of GROUP_SIZE orders, latest first, of their mean order, both fading: (customers, items)."""
    place = order_places(histories)
    fading = group_decay ** (place // GROUP_SIZE) * ORDER_DECAY ** (place % GROUP_SIZE)
    num_groups = np.ceil(histories.num_orders / GROUP_SIZE)[histories.customer]
    return histories.matrix(histories.pairs.total(fading / (GROUP_SIZE * num_groups)))


def fit_tifu_knn(
    past: Past, *, group_decay: float, own_share: float, num_neighbours: float
) -> TifuKnn:
    """The vectors of the customers among whom neighbours are sought."""
    others = sampled(vectors(past.histories, group_decay))
    return TifuKnn(others, group_decay, own_share, int(num_neighbours))
