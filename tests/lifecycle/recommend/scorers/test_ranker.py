"""The best entries of rows, and customers in blocks."""

import numpy as np
import pytest
from scipy import sparse

from lifecycle.recommend.histories import order_counts
from lifecycle.recommend.scorers import ranker
from lifecycle.recommend.scorers.ranker import best_places, in_blocks, keep_best
from tests.lifecycle.recommend.builders import histories_of, random_customers


@pytest.mark.parametrize("k", [1, 3, 10])
def test_best_entries_are_those_of_a_sort(k: int) -> None:
    dense = np.random.default_rng(0).integers(-1, 4, size=(30, 8)).astype(float)
    kept = keep_best(sparse.csr_array(dense), k).toarray()
    for row, found in zip(dense, kept, strict=True):
        best = sorted(range(8), key=lambda item: (-row[item], item))[:k]
        expected = [row[item] if item in best and row[item] > 0 else 0 for item in range(8)]
        assert found.tolist() == expected


def test_nothing_above_zero_is_nothing() -> None:
    items = np.arange(3)
    assert best_places(np.array([0.0, -1.0, 0.0]), items, 1).tolist() == []
    assert best_places(np.array([]), items[:0], 2).tolist() == []


def test_entries_need_not_be_sorted() -> None:
    unsorted = sparse.csr_array(([1.0, 2.0, 2.0, 3.0], [3, 2, 0, 1], [0, 4]), shape=(1, 4))
    assert keep_best(unsorted, 2).indices.tolist() == [0, 1]


def test_blocks_give_the_rows_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranker, "BLOCK_CUSTOMERS", 5)
    histories = histories_of(random_customers(0), 20)
    assert (in_blocks(histories, order_counts, None) != order_counts(histories)).nnz == 0
    assert in_blocks(histories_of([], 20), order_counts, None).shape == (0, 20)
