"""Metrics of ranked recommendations."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from lifecycle.metrics.value import Metrics


def hit_rate(ranked: Sequence[str], truth: Collection[str], k: int) -> float:
    """1 where any of the first k items is in `truth`, else 0."""
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
    """hr@10, ndcg@10, recall@20 and ndcg@20, means over the customers with a truth; coverage and num_customers.

    `rankings` holds each customer's items, best first and distinct; a customer without a list
    scores 0. coverage is the share of the catalogue's `num_items` that appears in any of these
    lists' first 20.
    """
    lists = {
        customer: list(rankings.get(customer, ()))[:20]
        for customer, truth in truths.items()
        if truth
    }
    assert all(len(set(ranked)) == len(ranked) for ranked in lists.values()), (
        "a ranked list holds an item twice"
    )
    shown = set(chain.from_iterable(lists.values()))
    pairs = [(ranked, truths[customer]) for customer, ranked in lists.items()]
    return {
        "hr@10": _mean([hit_rate(ranked, truth, 10) for ranked, truth in pairs]),
        "ndcg@10": _mean([ndcg(ranked, truth, 10) for ranked, truth in pairs]),
        "recall@20": _mean([recall(ranked, truth, 20) for ranked, truth in pairs]),
        "ndcg@20": _mean([ndcg(ranked, truth, 20) for ranked, truth in pairs]),
        "coverage": len(shown) / num_items if pairs else None,
        "num_customers": len(pairs),
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
