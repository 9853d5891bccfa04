"""How much LLaMA's score of texts weighs beside the ranker that serves: chosen before the test window, 0 is off."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import mean

import polars as pl

from lifecycle.metrics.ranking import ndcg
from lifecycle.names import RERANKER
from lifecycle.recommend.baselines import item_popularity, merge_popularity
from lifecycle.recommend.fusion import fused, weight_unit
from lifecycle.recommend.groups import customer_group
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import TOP, gain_over, lists_of
from training.evaluate.recommend.next_item import fitted
from training.evaluate.recommend.reranked import candidates_of, with_text_scores
from training.evaluate.recommend.tasks import Basket, RankingTask
from training.evaluate.recommend.windows import Learned, open_window, sampled
from training.results.recommend import Gain, Reranking

logger = logging.getLogger(__name__)
# Of LLaMA's score, beside the weight at which it spreads candidates as far as the ranker's does.
WEIGHTS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
LEAST_CUSTOMERS = 30  # of a sample or group; of fewer an interval says nothing
RARE = 10  # customers and days: an item bought less often in the last three months is rare


@dataclass(frozen=True)
class Weighed:
    """The best weight above 0, the ranking by it, and NDCG@20 by weight."""

    weight: float
    ranking: pl.DataFrame
    ndcg: dict[str, float]


def choose_weight(
    inputs: Inputs, task: RankingTask, ranker: str | None, learned: Learned
) -> Reranking | None:
    """What LLaMA's score brings beside a ranker on a task before the test window; None where it is not asked for.

    It is on where the best weight's NDCG@20 is above the ranker's by more than chance would have
    it: the paired 90 % interval begins above 0.
    """
    if RERANKER not in inputs.config.models or ranker is None:
        return None
    if inputs.base_model is None:
        logger.warning("%s is left out: the recipe names neither base_model nor a member", RERANKER)
        return None
    customers = sampled(task.baskets, inputs.config.rerank_customers, inputs.config.seed).to_list()
    if len(customers) < LEAST_CUSTOMERS:
        told = f"before the test window {len(customers)} customers are asked; it takes {LEAST_CUSTOMERS}"
        return _off(ranker, told)
    window = open_window(task, inputs.items, inputs.config.seed)
    rankers = fitted(inputs, window, [ranker], learned)
    found = candidates_of(inputs, rankers, ranker, task, customers)
    alone = fused(found.items.with_columns(text_score=0.0), 0.0, TOP)
    member = inputs.config.ranking_members.get(RERANKER)
    best = weigh(with_text_scores(inputs, found, member), task.baskets)
    if best is None:
        return _off(ranker, "all candidates of a customer score alike")
    chosen = decided(ranker, best, gains(inputs, task, best.ranking, alone, ranker), len(customers))
    if member is None:
        return chosen
    untrained = weigh(with_text_scores(inputs, found, None), task.baskets)
    other = alone if untrained is None else untrained.ranking
    asked = {name: task.baskets[name] for name in customers}
    gain = _gain(inputs, best.ranking, other, f"untrained {RERANKER}", asked)
    return chosen.model_copy(update={"trained_minus_untrained": gain})


def weigh(candidates: pl.DataFrame, baskets: Mapping[str, Basket]) -> Weighed | None:
    """The weight of LLaMA's score with the highest NDCG@20; None where there is none to choose."""
    unit = weight_unit(candidates)
    if unit == 0:
        return None
    rankings = {share * unit: fused(candidates, share * unit, TOP) for share in (0.0, *WEIGHTS)}
    found = {weight: _mean_ndcg(ranking, baskets) for weight, ranking in rankings.items()}
    best = max((weight for weight in rankings if weight), key=lambda weight: found[weight])
    told = {f"{weight:.4g}": value for weight, value in found.items()}
    return Weighed(best, rankings[best], told)


def _mean_ndcg(ranking: pl.DataFrame, baskets: Mapping[str, Basket]) -> float:
    lists = lists_of(ranking)
    return mean(ndcg(items, baskets[name].truth, TOP) for name, items in lists.items())


def decided(ranker: str, best: Weighed, found: dict[str, Gain], num_customers: int) -> Reranking:
    """On or off, and why; `found` has what the best weight brings, by group."""
    change, low, high = found["all"].ndcg_at_20
    is_on = low > 0
    told = (
        f"its best weight, {best.weight:.4g}, changes NDCG@20 by {change:+.4f} (90 %: {low:+.4f} to {high:+.4f}) "
        f"over {ranker} alone, for {num_customers} customers before the test window"
    )
    logger.info("%s is %s: %s", RERANKER, "on" if is_on else "off", told)
    chosen = {"over": ranker, "weight": best.weight if is_on else 0.0, "why": told}
    return Reranking.model_validate(chosen | {"ndcg@20": best.ndcg, "before_test": found})


def _off(ranker: str, why: str) -> Reranking:
    logger.info("%s is off: %s", RERANKER, why)
    return Reranking.model_validate({"over": ranker, "weight": 0.0, "why": why, "ndcg@20": {}})


def with_test(
    inputs: Inputs,
    task: RankingTask,
    reranking: Reranking | None,
    rankings: Mapping[str, pl.DataFrame],
    suffix: str,
) -> Reranking | None:
    """With what the chosen weight brings on the sample of test customers; of a weight of 0 there is nothing to tell.

    `suffix` ends the names of the other rankers on that sample.
    """
    alone = None if reranking is None else rankings.get(f"{reranking.over}{suffix}")
    if reranking is None or reranking.weight == 0 or alone is None or RERANKER not in rankings:
        return reranking
    found = gains(inputs, task, rankings[RERANKER], alone, reranking.over)
    return reranking.model_copy(update={"test": found})


def gains(
    inputs: Inputs, task: RankingTask, ranking: pl.DataFrame, alone: pl.DataFrame, over: str
) -> dict[str, Gain]:
    """By group of customers, or of items bought, that is large enough: a ranking minus the ranker alone."""
    asked = {name: task.baskets[name] for name in ranking["customer_id"].unique()}
    return {
        group: _gain(inputs, ranking, alone, over, baskets)
        for group, baskets in customer_groups(asked, _purchases_of_items(task)).items()
        if group == "all" or len(baskets) >= LEAST_CUSTOMERS
    }


def _gain(
    inputs: Inputs,
    ranking: pl.DataFrame,
    alone: pl.DataFrame,
    over: str,
    baskets: Mapping[str, Basket],
) -> Gain:
    config = inputs.config
    return gain_over(
        ranking, alone, over, dict(baskets), num_resamples=config.num_resamples, seed=config.seed
    )


def customer_groups(
    baskets: Mapping[str, Basket], purchases: Mapping[str, float]
) -> dict[str, dict[str, Basket]]:
    """Everybody; customers by orders; and, of rare and of unseen items alone, who bought any."""
    groups: dict[str, dict[str, Basket]] = {"all": dict(baskets)}
    for name, basket in baskets.items():
        groups.setdefault(customer_group(basket.num_orders), {})[name] = basket
        unseen = basket.truth - purchases.keys()
        rare = {item for item in basket.truth - unseen if purchases[item] < RARE}
        for group, truth in (("rare_items", rare), ("unseen_items", unseen)):
            if truth:
                groups.setdefault(group, {})[name] = replace(basket, truth=truth)
    return groups


def _purchases_of_items(task: RankingTask) -> dict[str, float]:
    """By item bought before the cutoff, how often in the last three months."""
    popularities = [item_popularity(shard, cutoff=task.cutoff) for shard in task.shards()]
    return dict(merge_popularity(popularities).iter_rows())
