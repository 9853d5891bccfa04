"""The best places of a list of scores."""

import numpy as np

from lifecycle.llama.next_item.predict import best_places


def test_best_places_with_ties_and_with_what_is_left_out() -> None:
    scores = np.array([0.5, 2.0, -np.inf, 0.5, 2.0, 0.5])
    assert best_places(scores, 3).tolist() == [1, 4, 0]
    assert best_places(scores, 20).tolist() == [1, 4, 0, 3, 5]
    assert best_places(np.full(4, -np.inf), 2).tolist() == []
    assert best_places(np.full(100_000, 0.25), 4).tolist() == [0, 1, 2, 3]
