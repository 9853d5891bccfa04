"""How rankings did by group of customers, and whether one is better than another."""

import numpy as np
import polars as pl

from lifecycle.metrics.ranking import ndcg, ranking_metrics, recall
from lifecycle.metrics.value import percentile_interval
from lifecycle.recommend.groups import customer_group, split_truth
from training.evaluate.recommend.tasks import Basket
from training.results.recommend import Gain, RankMetrics

TOP = 20
GROUPS = ("all", "new", "thin", "rich", "repeat_items", "new_items")
Groups = dict[str, dict[str, RankMetrics]]  # by group of customers and model
LEVEL = 0.9


def ranking_groups(
    rankings: dict[str, pl.DataFrame], baskets: dict[str, Basket], num_items: int
) -> Groups:
    """Each model's metrics by group of the customers it ranked."""
    result: Groups = {}
    for name, ranking in rankings.items():
        lists = lists_of(ranking)
        for group, truths in _truths(baskets, set(lists)).items():
            chosen = {customer: lists[customer] for customer in truths}
            found = ranking_metrics(chosen, truths, num_items)
            result.setdefault(group, {})[name] = RankMetrics.model_validate(found)
    return result


def lists_of(ranking: pl.DataFrame) -> dict[str, list[str]]:
    """By customer the items, best first."""
    ordered = ranking.sort("customer_id", "rank").group_by("customer_id")
    return dict(ordered.agg("item_id").iter_rows())


def _truths(baskets: dict[str, Basket], customers: set[str]) -> dict[str, dict[str, set[str]]]:
    """By group of customers, the items that each of them went on to buy."""
    truths: dict[str, dict[str, set[str]]] = {group: {} for group in GROUPS}
    for customer in sorted(customers):
        basket = baskets[customer]
        truths["all"][customer] = basket.truth
        truths[customer_group(basket.num_orders)][customer] = basket.truth
        repeated, fresh = split_truth(basket.truth, basket.bought_before)
        if repeated:
            truths["repeat_items"][customer] = repeated
        if fresh:
            truths["new_items"][customer] = fresh
    return truths


def gain_over(
    ranking: pl.DataFrame,
    other: pl.DataFrame,
    name: str,
    baskets: dict[str, Basket],
    *,
    num_resamples: int,
    seed: int,
) -> Gain:
    """Recall@20 and NDCG@20 of a ranking minus those of the ranker called `name`, with paired 90 % intervals."""
    ours, others = lists_of(ranking), lists_of(other)
    customers = sorted(ours)
    random = np.random.default_rng(seed)
    size = len(customers)
    drawn = [random.integers(0, size, size) for _ in range(num_resamples)]
    found: dict[str, tuple[float, float, float]] = {}
    for metric, measure in (("recall@20", recall), ("ndcg@20", ndcg)):
        gained = np.array(
            [
                measure(ours[one], baskets[one].truth, TOP)
                - measure(others[one], baskets[one].truth, TOP)
                for one in customers
            ]
        )
        draws = np.array([gained[one].mean() for one in drawn])
        interval = percentile_interval(draws, LEVEL)
        assert interval is not None
        found[metric] = (float(gained.mean()), *interval)
    return Gain.model_validate({"over": name, "num_customers": size, **found})
