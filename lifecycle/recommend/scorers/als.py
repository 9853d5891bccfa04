"""Factors of items by alternating least squares on implicit feedback (Hu, Koren and Volinsky, ICDM 2008)."""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories, decayed_counts
from lifecycle.recommend.scorers.ranker import KEPT_ITEMS, Past, best_places, in_blocks

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
        return in_blocks(histories, partial(self._of_block, offered), offered)

    def _of_block(self, offered: np.ndarray | None, block: Histories) -> sparse.csr_array:
        """The KEPT_ITEMS best alone: half of all scores are above 0."""
        customers = self.customer_factors(decayed_counts(block, HALF_LIFE_DAYS))
        items = np.arange(block.num_items) if offered is None else np.flatnonzero(offered)
        values = [np.zeros(0, dtype=self.factors.dtype)]
        places = [items[:0]]
        for one in customers:
            # One row at a time: the same sums whatever else is in the batch.
            found = (self.factors @ one)[items]
            best = best_places(found, items, KEPT_ITEMS)
            values.append(found[best])
            places.append(items[best])
        bounds = np.cumsum([len(of_row) for of_row in values])
        entries = (np.concatenate(values), np.concatenate(places), bounds)
        return sparse.csr_array(entries, shape=(block.num_customers, block.num_items))

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
