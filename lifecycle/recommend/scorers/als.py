"""Factors of items by alternating least squares on implicit feedback (Hu, Koren and Volinsky, ICDM 2008)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories, decayed_counts
from lifecycle.recommend.scorers.ranker import Past, in_blocks

ITERATIONS = 5
REGULARISATION = 1.0
HALF_LIFE_DAYS = 90.0


@dataclass(frozen=True)
class Als:
    """The product of an item's factors with a customer's, which are solved for when they are asked for."""

    factors: np.ndarray  # (items, factors) float32
    confidence: float  # of one purchase; an item not bought has 1

    @cached_property
    def _gram(self) -> np.ndarray:
        found: np.ndarray = self.factors.T @ self.factors
        return found + REGULARISATION * np.eye(self.factors.shape[1], dtype=self.factors.dtype)

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """See Ranker."""
        return in_blocks(histories, self._of_block, offered)

    def _of_block(self, block: Histories) -> sparse.csr_array:
        customers = self.customer_factors(decayed_counts(block, HALF_LIFE_DAYS))
        # One row at a time: the same sums whatever else is in the batch.
        found = np.stack([self.factors @ one for one in customers])
        has_bought = block.num_orders > 0
        return sparse.csr_array(np.where(has_bought[:, None], np.maximum(found, 0), 0.0))

    def customer_factors(self, counts: sparse.csr_array) -> np.ndarray:
        """The least squares solution of each row: (customers, factors)."""
        found = np.zeros((counts.shape[0], self.factors.shape[1]), dtype=self.factors.dtype)
        for row, (low, high) in enumerate(zip(counts.indptr[:-1], counts.indptr[1:], strict=True)):
            items = self.factors[counts.indices[low:high]]
            weights = self.confidence * counts.data[low:high].astype(self.factors.dtype)
            left = self._gram + items.T @ ((weights - 1)[:, None] * items)
            found[row] = np.linalg.solve(left, items.T @ weights)
        return found


def fit_als(past: Past, *, num_factors: float, confidence: float) -> Als:
    """Item factors, from a fixed seed on one thread."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=int(num_factors),
        regularization=REGULARISATION,
        alpha=confidence,
        iterations=ITERATIONS,
        use_gpu=False,
        num_threads=1,
        random_state=0,
    )
    counts = sparse.csr_matrix(decayed_counts(past.histories, HALF_LIFE_DAYS), dtype=np.float32)
    model.fit(counts, show_progress=False)
    return Als(np.asarray(model.item_factors, dtype=np.float32), confidence)
