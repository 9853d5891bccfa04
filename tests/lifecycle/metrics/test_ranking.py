"""Metrics of ranked lists by hand, and against one list at a time on random ones."""

import math
from itertools import combinations

import numpy as np
import pytest

from lifecycle.metrics.ranking import (
    NO_ITEM,
    OUTSIDE,
    RankedLists,
    accuracy,
    hit_rate,
    ndcg,
    ranked_lists,
    ranking_metrics,
    recall,
)

NUMBERS = {item: number for number, item in enumerate("abcdefgh")}


def lists_of(*customers: tuple[str, str, str]) -> RankedLists:
    """What was recommended, what was bought then, and what before."""
    ranked, truths, bought = zip(*customers, strict=True)
    return ranked_lists(ranked, [set(one) for one in truths], [set(one) for one in bought], NUMBERS)


def test_one_list_by_hand() -> None:
    lists = lists_of(("abcd", "bdx", "ab"), ("ba", "b", ""))
    assert lists.hit_rate(1).tolist() == [0.0, 1.0]
    assert lists.hit_rate(2).tolist() == [1.0, 1.0]
    assert lists.recall(2).tolist() == [0.5, 1.0]
    assert lists.recall(20).tolist() == pytest.approx([2 / 3, 1.0])
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    assert lists.ndcg(10).tolist() == pytest.approx([gain / ideal, 1.0])
    assert lists.ndcg(1).tolist() == [0.0, 1.0]


def test_one_list_at_a_time_is_the_same() -> None:
    lists = lists_of(("abcd", "bdx", "ab"), ("ba", "b", ""))
    one = {hit_rate: lists.hit_rate, recall: lists.recall, ndcg: lists.ndcg}
    for alone, together in one.items():
        for k in (1, 2, 3, 20):
            expected = [alone("abcd", {"b", "d", "x"}, k), alone("ba", {"b"}, k)]
            assert together(k).tolist() == pytest.approx(expected)


def test_repeats_and_what_is_new_are_judged_apart() -> None:
    lists = lists_of(("abcd", "bdx", "ab"), ("ba", "b", ""), ("c", "c", "c"))
    repeats, new = lists.repeats(), lists.explorations()
    assert repeats.num_true.tolist() == [1, 1] and new.num_true.tolist() == [2, 1]
    assert repeats.recall(20).tolist() == [1.0, 1.0]
    assert new.recall(20).tolist() == [0.5, 1.0]
    assert repeats.ndcg(20).tolist() == pytest.approx([1 / math.log2(3), 1.0])
    assert lists.repeat_ratio().tolist() == [0.5, 0.0, 1.0]
    assert lists.true_repeat_ratio().tolist() == pytest.approx([1 / 3, 0.0, 1.0])
    assert set(new.true_repeat_ratio()) == {0.0} and set(repeats.true_repeat_ratio()) == {1.0}


def test_novelty_is_the_mean_self_information() -> None:
    share = np.array([1 / 2, 1 / 4, 1 / 8, 1, 1, 1, 1, 1])
    lists = lists_of(("abc", "a", ""), ("d", "a", ""), ("", "a", ""))
    assert lists.novelty(share).tolist() == pytest.approx([2.0, 0.0, math.nan], nan_ok=True)


def test_diversity_is_one_minus_the_share_of_pairs_of_one_category() -> None:
    category = np.array([0, 0, 0, 1, 2, -1, -1, -1])
    lists = lists_of(("abcd", "a", ""), ("ad", "a", ""), ("afg", "a", ""), ("abcfg", "a", ""))
    expected = [0.5, 1.0, math.nan, 0.0]
    assert lists.diversity(category).tolist() == pytest.approx(expected, nan_ok=True)


def test_what_is_outside_the_catalogue_is_told() -> None:
    lists = lists_of(("ax", "a", ""), ("ab", "a", ""))
    assert lists.item[0, :3].tolist() == [0, OUTSIDE, NO_ITEM]
    assert lists.outside_catalogue().tolist() == [0.5, 0.0]
    assert lists.coverage(8) == 2 / 8


def test_a_list_holds_an_item_once() -> None:
    with pytest.raises(AssertionError, match="holds an item twice"):
        lists_of(("aa", "a", ""))


def test_random_lists_against_one_list_at_a_time() -> None:
    random = np.random.default_rng(0)
    numbers = {str(item): item for item in range(60)}
    ranked = [
        random.permutation(60)[: random.integers(1, 30)].astype(str).tolist() for _ in range(50)
    ]
    truths = [set(random.permutation(60)[: random.integers(1, 30)].astype(str)) for _ in range(50)]
    category = random.integers(-1, 4, 60)
    lists = ranked_lists(ranked, truths, [set()] * 50, numbers)
    found = accuracy(lists) | {"diversity": lists.diversity(category)}
    for row, (items, truth) in enumerate(zip(ranked, truths, strict=True)):
        for k in (10, 20):
            hits = [item in truth for item in items[:k]]
            best = [True] * min(k, len(truth))
            assert found[f"hr@{k}"][row] == any(hits)
            assert found[f"recall@{k}"][row] == pytest.approx(sum(hits) / len(best))
            assert found[f"ndcg@{k}"][row] == pytest.approx(gain(hits) / gain(best))
        kinds = [category[int(item)] for item in items[:20]]
        pairs = list(combinations([kind for kind in kinds if kind >= 0], 2))
        apart = np.mean([a != b for a, b in pairs]) if pairs else math.nan
        assert found["diversity"][row] == pytest.approx(apart, nan_ok=True)


def gain(hits: list[bool]) -> float:
    """Of one list, rank by rank."""
    return sum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits, start=1) if hit)


def test_means_over_customers() -> None:
    rankings = {"u": ["a", "b"], "v": ["a", "c"], "without_truth": ["z"]}
    truths = {"u": {"a"}, "v": {"x"}, "without_list": {"a"}, "without_truth": set[str]()}
    found = ranking_metrics(rankings, truths, num_items=10)
    assert found.pop("coverage") == 0.3 and found.pop("num_customers") == 3
    assert set(found) == {f"{name}@{k}" for name in ("hr", "recall", "ndcg") for k in (10, 20)}
    assert list(found.values()) == pytest.approx([1 / 3] * 6)


def test_means_at_the_ends_of_the_list() -> None:
    items = [f"i{number}" for number in range(40)]
    truths = {"eleventh": {"i10"}, "beyond": {"i20"}, "everything": set(items)}
    found = ranking_metrics(dict.fromkeys(truths, items), truths, num_items=40)
    assert found["hr@10"] == pytest.approx(1 / 3)
    assert found["recall@20"] == pytest.approx(2 / 3)
    assert found["ndcg@20"] == pytest.approx((1 / math.log2(12) + 1) / 3)
    assert found["coverage"] == 0.5


def test_means_of_nobody() -> None:
    found = ranking_metrics({}, {}, num_items=5)
    assert found.pop("num_customers") == 0
    assert set(found.values()) == {None}
