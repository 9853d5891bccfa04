"""All that metrics.json says of rankings: metrics by group of customers, and of the recommender what tells it apart."""

from collections.abc import Mapping

import polars as pl

from lifecycle.names import RANK_STACK, RERANKER
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import (
    SAMPLED,
    Groups,
    gain_over,
    judged_groups,
    judged_lists,
    ranking_groups,
)
from training.evaluate.recommend.measures.catalogue import read_catalogue
from training.evaluate.recommend.measures.margins import margin_curve
from training.evaluate.recommend.measures.recall import recall_by_buyers, recall_by_orders
from training.evaluate.recommend.tasks import RankingTask
from training.evaluate.recommend.windows import Learned, sampled
from training.results.recommend import Gain, MarginCurve, RecallBy, Recommender


def measured(
    inputs: Inputs,
    rankings: dict[str, pl.DataFrame],
    task: RankingTask,
    chosen: str | None,
    learned: Learned,
) -> tuple[Groups, dict[str, RecallBy | MarginCurve | None]]:
    """All metrics by group, and of the recommender what is known only where somebody is asked."""
    if chosen is None or not rankings or not task.baskets:
        return ranking_groups(rankings, task.baskets, inputs.items.height), {}
    config = inputs.config
    catalogue = read_catalogue(task, inputs.items)
    resampling = {"num_resamples": config.num_resamples, "seed": config.seed}
    sample = sampled(task.baskets, config.rerank_customers, config.seed)
    of_sample = {customer: task.baskets[customer] for customer in sample}
    judged = {
        name: judged_lists(
            ranking, of_sample if _is_of_sample(name) else task.baskets, catalogue.numbers
        )
        for name, ranking in rankings.items()
    }
    # What is known of a sample alone cannot stand beside what is known of everybody.
    whole = {name: of_model for name, of_model in judged.items() if not _is_of_sample(name)}
    groups = judged_groups(judged, task.baskets, catalogue, **resampling)
    return groups, {
        "recall_by_orders": recall_by_orders(whole, task.baskets, **resampling),
        "recall_by_buyers": recall_by_buyers(whole, task.baskets, catalogue, **resampling),
        "margin_curve": margin_curve(inputs, task, catalogue, chosen, learned),
    }


def _is_of_sample(name: str) -> bool:
    """Whether a ranking is of the customers alone whom a costly ranker ranks too."""
    return name == RERANKER or name.endswith(SAMPLED)


def stack_gain(
    inputs: Inputs, rankings: Mapping[str, pl.DataFrame], task: RankingTask, compared: Recommender
) -> Gain | None:
    """What the stack brings over the best of its rivals in the choice; None where it has none, or nobody is asked."""
    rivals = {name: ndcg for name, ndcg in compared.ndcg_at_20.items() if name != RANK_STACK}
    if RANK_STACK not in rankings or not rivals or not task.baskets:
        return None
    best = max(rivals, key=lambda name: rivals[name])
    config = inputs.config
    return gain_over(
        rankings[RANK_STACK],
        rankings[best],
        best,
        task.baskets,
        num_resamples=config.num_resamples,
        seed=config.seed,
    )
