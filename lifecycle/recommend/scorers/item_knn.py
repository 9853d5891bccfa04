"""Items like a customer's own: item-based nearest neighbours (Sarwar et al., WWW 2001)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories, decayed_counts
from lifecycle.recommend.scorers.ranker import in_blocks


@dataclass(frozen=True)
class ItemKnn:
    """The summed similarity to the customer's items, weighted by their decayed counts."""

    similarity: sparse.csr_array  # (items, items), nothing on the diagonal
    half_life_days: float
    likeness_to_itself: float  # of an item

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """See Ranker."""
        return in_blocks(histories, self._of_block, offered)

    def _of_block(self, block: Histories) -> sparse.csr_array:
        return decayed_counts(block, self.half_life_days) @ self._with_itself

    @cached_property
    def _with_itself(self) -> sparse.csr_array:
        itself = self.likeness_to_itself * sparse.eye_array(self.similarity.shape[0])
        return (self.similarity + itself).tocsr()
