"""TIFU-KNN, UP-CF and item-kNN beside loops that follow the papers."""

import numpy as np
import pytest
from scipy import sparse

from lifecycle.recommend.scorers.item_knn import ItemKnn
from lifecycle.recommend.scorers.ranker import Past
from lifecycle.recommend.scorers.tifu_knn import GROUP_SIZE, ORDER_DECAY, fit_tifu_knn, vectors
from lifecycle.recommend.scorers.up_cf import ASYMMETRY, fit_up_cf, user_wise_popularity
from tests.lifecycle.recommend.builders import Order, histories_of, random_customers

NUM_ITEMS = 20
CUSTOMERS = random_customers(1)
HISTORIES = histories_of(CUSTOMERS, NUM_ITEMS)
NO_SIMILARITY = sparse.csr_array((NUM_ITEMS, NUM_ITEMS))
PAST = Past(HISTORIES, NO_SIMILARITY)


def one_hot(items: list[int]) -> np.ndarray:
    found = np.zeros(NUM_ITEMS)
    found[items] = 1.0
    return found


def tifu_vector(orders: list[Order], group_decay: float) -> np.ndarray:
    """Groups counted from the latest order, as a loop."""
    baskets = [one_hot(items) for _, items in reversed(orders)]
    groups = [baskets[start : start + GROUP_SIZE] for start in range(0, len(baskets), GROUP_SIZE)]
    total = np.zeros(NUM_ITEMS)
    for number, group in enumerate(groups):
        faded = sum(ORDER_DECAY**place * basket for place, basket in enumerate(group))
        total += group_decay**number * faded / GROUP_SIZE
    return total / max(len(groups), 1)


def test_tifu_vectors_fade_in_two_steps() -> None:
    expected = np.array([tifu_vector(orders, 0.7) for orders in CUSTOMERS])
    assert vectors(HISTORIES, 0.7).toarray() == pytest.approx(expected)


def test_tifu_blends_the_nearest_customers_by_distance() -> None:
    ranker = fit_tifu_knn(PAST, group_decay=0.7, own_share=0.6, num_neighbours=3)
    found = ranker.scores(HISTORIES).toarray()
    known = np.array([tifu_vector(orders, 0.7) for orders in CUSTOMERS])
    for row, own in enumerate(known[:-1]):
        others = [other for place, other in enumerate(known[:-1]) if place != row]
        near = sorted(others, key=lambda other: float(((own - other) ** 2).sum()))[:3]
        assert found[row] == pytest.approx(0.6 * own + 0.4 * np.mean(near, axis=0))
    assert not found[-1].any()  # somebody who never bought has no neighbours


def test_up_cf_weighs_alike_customers() -> None:
    ranker = fit_up_cf(PAST, num_recent=5, locality=2)
    found = ranker.scores(HISTORIES).toarray()
    shares = np.array(
        [
            np.mean([one_hot(items) for _, items in orders[-5:]], axis=0) if orders else one_hot([])
            for orders in CUSTOMERS
        ]
    )
    assert user_wise_popularity(HISTORIES, 5).toarray() == pytest.approx(shares)
    for row, own in enumerate(shares[:-1]):
        expected = own.copy()
        for place, other in enumerate(shares[:-1]):
            if place != row:
                scale = (own @ own) ** ASYMMETRY * (other @ other) ** (1 - ASYMMETRY)
                expected += (own @ other / scale) ** 2 * other
        assert found[row] == pytest.approx(expected)
    assert not found[-1].any()


def test_item_knn_adds_what_is_like_own_items() -> None:
    similarity = np.zeros((3, 3))
    similarity[0, 2] = 0.5
    histories = histories_of([[(90.0, [0]), (1e-9, [0, 1])]], 3)
    found = ItemKnn(sparse.csr_array(similarity), 90.0, 2.0).scores(histories).toarray()
    assert found[0] == pytest.approx([3.0, 2.0, 0.75])
