"""Factors: customers are solved for as the library solves for them."""

import numpy as np
import pytest
from scipy import sparse

from lifecycle.recommend.histories import decayed_counts
from lifecycle.recommend.scorers.als import HALF_LIFE_DAYS, fit_als
from lifecycle.recommend.scorers.ranker import Past
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
