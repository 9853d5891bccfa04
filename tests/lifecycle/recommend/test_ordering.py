"""From scores to rankings: ties, what is offered, what was seen, and popular items behind."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from lifecycle.recommend.ordering import best_of_rows, entries_at, is_offered, rank_scores
from lifecycle.recommend.scorers.ranker import only_offered
from tests.lifecycle.recommend.builders import histories_of

IDS = pl.Series("customer_id", ["u", "w"])
ITEMS = pl.Series(["a", "b", "c", "d"])
POPULAR = pl.DataFrame({"item_id": ["d", "c", "b", "a"], "score": [3.0, 1.0, 0.0, 0.0]})
HISTORIES = histories_of([[(2.0, [1]), (1.0, [2])], []], 4)
SCORES = sparse.csr_array([[0, 2.0, 2.0, 0], [0, 0, 0, 0]])


def ranked(
    k: int, popular: pl.DataFrame = POPULAR, *, exclude_seen: bool = False
) -> dict[str, str]:
    scores = only_offered(SCORES, is_offered(popular, ITEMS))
    found = rank_scores(scores, HISTORIES, IDS, ITEMS, popular, k=k, exclude_seen=exclude_seen)
    by_customer = found.group_by("customer_id", maintain_order=True)
    for _, rows in by_customer:
        assert rows["rank"].to_list() == list(range(1, rows.height + 1))
        assert (rows["score"].diff().drop_nulls() <= 0).all()
    return {str(name): "".join(rows["item_id"]) for (name,), rows in by_customer}


def test_ties_go_to_the_first_in_the_catalogue_and_popular_items_follow() -> None:
    assert ranked(1) == {"u": "b", "w": "d"}
    assert ranked(3) == {"u": "bcd", "w": "dcb"}
    assert ranked(9) == {"u": "bcda", "w": "dcba"}


def test_entries_at_places_and_of_no_places() -> None:
    fixed = pl.Series([1, 3, 1], dtype=pl.UInt32).to_numpy()  # which nobody may write to
    assert entries_at(SCORES, np.array([0, 0, 1]), fixed).tolist() == [2.0, 0.0, 0.0]
    assert entries_at(SCORES, np.zeros(0), np.zeros(0)).tolist() == []


def test_only_what_is_offered() -> None:
    assert ranked(3, POPULAR.filter(pl.col("item_id") != "b")) == {"u": "cda", "w": "dca"}
    assert ranked(2, POPULAR.clear()) == {}


def test_nothing_that_was_bought_before() -> None:
    assert ranked(4, exclude_seen=True) == {"u": "da", "w": "dcba"}


def test_popular_items_score_less_than_all_that_is_known_of_a_customer() -> None:
    found = rank_scores(SCORES, HISTORIES, IDS, ITEMS, POPULAR, k=3, exclude_seen=False)
    assert found["score"].to_list() == pytest.approx([2.0, 2.0, 1.5, 0.75, 0.25, 0.0])


def best_lists(scores: np.ndarray, k: int) -> list[list[int]]:
    """By row."""
    row, item = best_of_rows(scores, k)
    return [item[row == number].tolist() for number in range(len(scores))]


def test_best_of_rows_with_ties_and_with_what_is_left_out() -> None:
    scores = np.array([[0.5, 2.0, -np.inf, 0.5, 2.0, 0.5], [-np.inf] * 6])
    assert best_lists(scores, 3) == [[1, 4, 0], []]
    assert best_lists(scores, 20) == [[1, 4, 0, 3, 5], []]
    assert best_lists(np.full((2, 10_000), 0.25), 4) == [[0, 1, 2, 3]] * 2
    assert best_lists(np.zeros((0, 10_000)), 4) == []


@pytest.mark.parametrize("num_items", [1, 20, 127, 128, 700, 5003])
@pytest.mark.parametrize("k", [1, 20, 1000])
def test_best_of_rows_are_those_of_a_sort(num_items: int, k: int) -> None:
    random = np.random.default_rng(num_items)
    scores = random.normal(size=(6, num_items)).astype(np.float32)
    scores[3:] = np.round(scores[3:], 1)  # with ties
    scores[5, random.random(num_items) < 0.9] = -np.inf
    for row, found in zip(scores, best_lists(scores, k), strict=True):
        order = [item for item in np.argsort(-row, kind="stable") if row[item] > -np.inf]
        assert found == order[:k]
