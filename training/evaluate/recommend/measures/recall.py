"""Recall@20 by how many orders customers had, and by how many customers had bought what they went on to buy."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lifecycle.metrics.means import mean_draws
from lifecycle.metrics.ranking import RankedLists
from lifecycle.metrics.value import percentile_interval
from training.evaluate.recommend.judging import TOP, Judged
from training.evaluate.recommend.measures.catalogue import Catalogue
from training.evaluate.recommend.tasks import Basket
from training.results.recommend import Recall, RecallBy

LEVEL = 0.95
# Each group begins at one of these numbers and ends before the next.
ORDERS = (0, 1, 2, 5, 10, 20, 50)
BUYERS = (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
# Of customers and their lists, what was found and what could have been, each (n, groups).
Count = Callable[[Sequence[str], RankedLists], tuple[np.ndarray, np.ndarray]]


def recall_by_orders(
    judged: Mapping[str, Judged],
    baskets: dict[str, Basket],
    *,
    num_resamples: int,
    seed: int,
) -> RecallBy:
    """The mean recall of the customers of each group."""

    def count(customers: Sequence[str], lists: RankedLists) -> tuple[np.ndarray, np.ndarray]:
        orders = np.array([baskets[customer].num_orders for customer in customers])
        is_in = _group_of(orders, ORDERS)[:, None] == np.arange(len(ORDERS))
        return is_in * lists.recall(TOP)[:, None], is_in.astype(np.float64)

    return _recall_by(ORDERS, judged, count, num_resamples, seed)


def recall_by_buyers(
    judged: Mapping[str, Judged],
    baskets: dict[str, Basket],
    catalogue: Catalogue,
    *,
    num_resamples: int,
    seed: int,
) -> RecallBy:
    """The share of the items of each group that stood in the list of the customer who went on to buy them."""
    group = _group_of(catalogue.num_buyers, BUYERS)

    def count(customers: Sequence[str], lists: RankedLists) -> tuple[np.ndarray, np.ndarray]:
        found = np.zeros((len(customers), len(BUYERS)))
        row, place = np.nonzero(lists.is_hit)
        np.add.at(found, (row, group[lists.item[row, place]]), 1.0)
        truths = [sorted(baskets[customer].truth) for customer in customers]
        row = np.repeat(np.arange(len(customers)), [len(truth) for truth in truths])
        numbers = [catalogue.numbers.get(item, -1) for truth in truths for item in truth]
        # Nobody had bought what is in no catalogue.
        of_true = np.append(group, 0)[numbers]
        possible = np.zeros_like(found)
        np.add.at(possible, (row, of_true), 1.0)
        return found, possible

    return _recall_by(BUYERS, judged, count, num_resamples, seed)


def _group_of(numbers: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    found: np.ndarray = np.searchsorted(edges, numbers, side="right") - 1
    return found


def _recall_by(
    edges: Sequence[int],
    judged: Mapping[str, Judged],
    count: Count,
    num_resamples: int,
    seed: int,
) -> RecallBy:
    """Without the groups that hold nothing."""
    models: dict[str, list[Recall]] = {}
    counted = np.zeros(len(edges))
    for name, of_model in judged.items():
        found, possible = count(*of_model)
        counted = np.maximum(counted, possible.sum(axis=0))
        models[name] = _recalls(found, possible, num_resamples, seed)
    held = np.flatnonzero(counted)
    labels = _labels(edges)
    return RecallBy(
        groups=[labels[group] for group in held],
        counted=[int(counted[group]) for group in held],
        models={name: [recalls[group] for group in held] for name, recalls in models.items()},
    )


def _recalls(
    found: np.ndarray, possible: np.ndarray, num_resamples: int, seed: int
) -> list[Recall]:
    """Of each group what was found over what was possible, resampled over customers."""
    both = np.hstack([found, possible])
    draws = mean_draws(both, num_resamples=num_resamples, seed=seed)
    ratios = _ratio(*np.hsplit(draws, 2))
    values = _ratio(found.sum(axis=0), possible.sum(axis=0))
    return [
        Recall(
            value=None if np.isnan(value) else float(value),
            interval=percentile_interval(drawn, LEVEL),
        )
        for value, drawn in zip(values, ratios.T, strict=True)
    ]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return found


def _labels(edges: Sequence[int]) -> list[str]:
    """`0`, `1 to 2`, `3 or more`."""
    ends = [edge - 1 for edge in edges[1:]]
    closed = [
        f"{low:,d}" if low == high else f"{low:,d} to {high:,d}"
        for low, high in zip(edges, ends, strict=False)
    ]
    return [*closed, f"{edges[-1]:,d} or more"]
