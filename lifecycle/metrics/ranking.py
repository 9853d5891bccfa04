"""Ranked lists of many customers as arrays, and how good each list is: accuracy, novelty, diversity, repeats.

| metric | of one customer's list | after |
|---|---|---|
| hit rate | 1 where any of the first k items is bought | |
| recall | hits among the first k / min(k, items bought) | |
| NDCG | sum of 1 / log2(rank + 1) over hits, over that of an ideal list | Järvelin and Kekäläinen, TOIS 2002 |
| novelty | mean self-information, -log2(share of customers who bought the item) | Zhou et al., PNAS 2010 |
| intra-list diversity | 1 - share of pairs of one category | Ziegler et al., WWW 2005 |
| repeat ratio | share of items bought before | Li et al., TOIS 2023 |

Repeats are calibrated (Steck, RecSys 2018) where the repeat ratio of lists is that of what is bought.
"""

import math
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from lifecycle.metrics.means import mean_of
from lifecycle.metrics.value import Metrics

LENGTH = 20
NO_ITEM = -1
OUTSIDE = -2  # of the catalogue


@dataclass(frozen=True)
class RankedLists:
    """The first LENGTH items of n customers, best first; a short list ends in places without an item."""

    item: np.ndarray  # (n, LENGTH) int64, the item's number, NO_ITEM or OUTSIDE
    is_hit: np.ndarray  # (n, LENGTH) bool, the customer went on to buy it
    is_own: np.ndarray  # (n, LENGTH) bool, the customer had bought it before
    num_true: np.ndarray  # (n,) items that the customer went on to buy, all of which count
    num_repeats: np.ndarray  # (n,) those of them bought before

    def rows(self, chosen: np.ndarray) -> "RankedLists":
        """Those of some customers, by a mask (n,)."""
        return RankedLists(
            self.item[chosen],
            self.is_hit[chosen],
            self.is_own[chosen],
            self.num_true[chosen],
            self.num_repeats[chosen],
        )

    def repeats(self) -> "RankedLists":
        """The same lists where only items bought before count, of customers who bought such."""
        is_hit = self.is_hit & self.is_own
        asked = replace(self, is_hit=is_hit, num_true=self.num_repeats)
        return asked.rows(asked.num_true > 0)

    def explorations(self) -> "RankedLists":
        """The same lists where only items new to the customer count, of customers who bought such."""
        is_hit = self.is_hit & ~self.is_own
        num_new = self.num_true - self.num_repeats
        none = np.zeros_like(num_new)
        asked = replace(self, is_hit=is_hit, num_true=num_new, num_repeats=none)
        return asked.rows(num_new > 0)

    def hit_rate(self, k: int) -> np.ndarray:
        """Of each customer, (n,)."""
        found: np.ndarray = self.is_hit[:, :k].max(axis=1).astype(np.float64)
        return found

    def recall(self, k: int) -> np.ndarray:
        """Of each customer, (n,)."""
        num_hits = self.is_hit[:, :k].sum(axis=1)
        found: np.ndarray = num_hits / np.minimum(k, self.num_true)
        return found

    def ndcg(self, k: int) -> np.ndarray:
        """Of each customer, (n,)."""
        discount = 1.0 / np.log2(np.arange(2, k + 2))
        ideal = np.cumsum(discount)[np.minimum(k, self.num_true) - 1]
        found: np.ndarray = (self.is_hit[:, :k] * discount).sum(axis=1) / ideal
        return found

    def novelty(self, share: np.ndarray) -> np.ndarray:
        """Of each customer in bits, (n,); `share` (items,) are shares of customers, above 0."""
        return self._mean(-np.log2(share)[self.item])

    def diversity(self, category: np.ndarray) -> np.ndarray:
        """Of each customer, (n,), NaN below two items of known category; `category` (items,) is -1 where unknown."""
        of_place = np.where(self.item >= 0, category[self.item], -1)
        num_known = (of_place >= 0).sum(axis=1)
        num_same = np.zeros(len(of_place))
        for apart in range(1, LENGTH):
            later = of_place[:, apart:]
            num_same += ((later == of_place[:, :-apart]) & (later >= 0)).sum(axis=1)
        return 1.0 - _ratio(num_same, num_known * (num_known - 1) / 2)

    def repeat_ratio(self) -> np.ndarray:
        """Of each customer's list, (n,)."""
        return self._mean(self.is_own)

    def true_repeat_ratio(self) -> np.ndarray:
        """Of what each customer went on to buy, (n,)."""
        return _ratio(self.num_repeats, self.num_true)

    def outside_catalogue(self) -> np.ndarray:
        """The share of each customer's list that is in no catalogue, (n,)."""
        return self._mean(self.item == OUTSIDE)

    def coverage(self, num_items: int) -> float:
        """The share of so many items that is in any list."""
        return len(np.unique(self.item[self.item >= 0])) / num_items

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """Of each list the mean over its items, (n,), NaN of an empty one."""
        is_item = self.item != NO_ITEM
        return _ratio((values * is_item).sum(axis=1), is_item.sum(axis=1))


def ranked_lists(
    ranked: Sequence[Sequence[str]],
    truths: Sequence[Set[str]],
    bought_before: Sequence[Set[str]],
    numbers: Mapping[str, int],
) -> RankedLists:
    """The lists of customers, each with what it went on to buy, an item at least, and had bought.

    `numbers` has the items of the catalogue.
    """
    shape = (len(ranked), LENGTH)
    item = np.full(shape, NO_ITEM)
    is_hit = np.zeros(shape, dtype=bool)
    is_own = np.zeros(shape, dtype=bool)
    for row, items in enumerate(ranked):
        first = items[:LENGTH]
        assert len(set(first)) == len(first), "a ranked list holds an item twice"
        end = len(first)
        item[row, :end] = [numbers.get(one, OUTSIDE) for one in first]
        is_hit[row, :end] = [one in truths[row] for one in first]
        is_own[row, :end] = [one in bought_before[row] for one in first]
    num_true = np.array([len(truth) for truth in truths], dtype=np.int64)
    repeats = [len(truth & bought) for truth, bought in zip(truths, bought_before, strict=True)]
    return RankedLists(item, is_hit, is_own, num_true, np.array(repeats, dtype=np.int64))


def hit_rate(ranked: Sequence[str], truth: Collection[str], k: int) -> float:
    """Of one list, as the others below."""
    return float(any(item in truth for item in ranked[:k]))


def recall(ranked: Sequence[str], truth: Collection[str], k: int) -> float:
    """Hits among the first k items over min(k, |truth|)."""
    return sum(item in truth for item in ranked[:k]) / min(k, len(truth))


def ndcg(ranked: Sequence[str], truth: Collection[str], k: int) -> float:
    """Sum of 1 / log2(rank + 1) over hits among the first k, over that of an ideal list of min(k, |truth|) hits."""
    gain = sum(
        1.0 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], start=1) if item in truth
    )
    return gain / sum(1.0 / math.log2(rank + 1) for rank in range(1, min(k, len(truth)) + 1))


def ranking_metrics(
    rankings: Mapping[str, Sequence[str]], truths: Mapping[str, Collection[str]], num_items: int
) -> Metrics:
    """The means of `accuracy` over the customers with a truth; coverage and num_customers.

    `rankings` holds each customer's items, best first and distinct; a customer without a list
    scores 0. coverage is the share of the catalogue's `num_items` that is in any list.
    """
    asked = {customer: set(truth) for customer, truth in truths.items() if truth}
    ranked = [rankings.get(customer, ()) for customer in asked]
    shown = dict.fromkeys(item for items in ranked for item in items)
    numbers = {item: number for number, item in enumerate(shown)}
    lists = ranked_lists(ranked, list(asked.values()), [set()] * len(asked), numbers)
    means = {metric: mean_of(values) for metric, values in accuracy(lists).items()}
    coverage = lists.coverage(num_items) if asked else None
    return means | {"coverage": coverage, "num_customers": len(asked)}


def accuracy(lists: RankedLists) -> dict[str, np.ndarray]:
    """Hit rate, recall and NDCG of each customer, (n,), at 10 and at 20."""
    found: dict[str, np.ndarray] = {}
    for k in (10, LENGTH):
        found[f"hr@{k}"] = lists.hit_rate(k)
        found[f"recall@{k}"] = lists.recall(k)
        found[f"ndcg@{k}"] = lists.ndcg(k)
    return found


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where the whole is 0."""
    found: np.ndarray = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found
