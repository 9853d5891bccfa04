"""Factors: customers are solved for as the library solves for them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from lifecycle.recommend.histories import decayed_counts
from lifecycle.recommend.scorers.als import HALF_LIFE_DAYS, fit_als
from lifecycle.recommend.scorers.ranker import KEPT_ITEMS, Past
from tests.lifecycle.recommend.builders import histories_of, random_customers

HISTORIES = histories_of(random_customers(2), 20)
PAST = Past(HISTORIES, sparse.csr_array((20, 20)))


def test_customer_factors_solve_the_weighted_least_squares() -> None:
    ranker = fit_als(PAST, num_factors=4, confidence=10.0)
    counts = decayed_counts(HISTORIES, HALF_LIFE_DAYS)
    found = ranker.customer_factors(counts)
    dense = counts.toarray()
    for row, factors in enumerate(found[:-1]):
        weight = np.where(dense[row] > 0, 10.0 * dense[row], 1.0)
        rows = np.concatenate([np.sqrt(weight)[:, None] * ranker.factors, np.eye(4)])
        wanted = np.concatenate([np.sqrt(weight) * (dense[row] > 0), np.zeros(4)])
        expected = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        assert factors == pytest.approx(expected, rel=1e-3, abs=1e-4)
    scores = ranker.scores(HISTORIES).toarray()
    assert scores[:-1] == pytest.approx(np.maximum(found[:-1] @ ranker.factors.T, 0), abs=1e-6)
    assert not scores[-1].any()


def test_same_purchases_same_factors() -> None:
    one, other = (fit_als(PAST, num_factors=4, confidence=10.0).factors for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_only_the_best_of_many_items_and_of_those_offered_are_kept() -> None:
    histories = histories_of(random_customers(2), 2 * KEPT_ITEMS)
    past = Past(histories, sparse.csr_array((2 * KEPT_ITEMS, 2 * KEPT_ITEMS)))
    ranker = fit_als(past, num_factors=4, confidence=1.0)
    # Factors of all items, and not of those that somebody bought alone.
    factors = np.random.default_rng(0).normal(size=ranker.factors.shape).astype(np.float32)
    ranker = replace(ranker, factors=factors)
    offered = np.arange(2 * KEPT_ITEMS) % 3 > 0
    found = ranker.customer_factors(decayed_counts(histories, HALF_LIFE_DAYS)) @ factors.T
    for choice in (None, offered):
        wanted = np.where(True if choice is None else choice, found, 0)
        least = np.maximum(np.sort(wanted, axis=1)[:, -KEPT_ITEMS], 0)
        expected = np.where(wanted >= least[:, None], np.maximum(wanted, 0), 0)
        assert ranker.scores(histories, choice).toarray() == pytest.approx(expected, abs=1e-5)
