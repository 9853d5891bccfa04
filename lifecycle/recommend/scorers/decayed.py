"""A customer's own items by number of orders, of which old ones count less."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories, decayed_counts
from lifecycle.recommend.scorers.ranker import only_offered


@dataclass(frozen=True)
class DecayedFrequency:
    """Own items by the sum of 2^(-age / half-life) over their orders."""

    half_life_days: float  # infinite: plain counts

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """See Ranker."""
        return only_offered(decayed_counts(histories, self.half_life_days), offered)
