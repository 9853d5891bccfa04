"""All that is measured of the rankings of a task."""

import polars as pl

from lifecycle.names import RERANKER
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import (
    SAMPLED,
    Groups,
    judged_groups,
    judged_lists,
    ranking_groups,
)
from training.evaluate.recommend.measures.catalogue import read_catalogue
from training.evaluate.recommend.measures.margins import margin_curve
from training.evaluate.recommend.measures.recall import recall_by_buyers, recall_by_orders
from training.evaluate.recommend.tasks import RankingTask
from training.evaluate.recommend.windows import Learned
from training.results.recommend import MarginCurve, RecallBy


def measured(
    inputs: Inputs,
    rankings: dict[str, pl.DataFrame],
    task: RankingTask,
    chosen: str | None,
    learned: Learned,
) -> tuple[Groups, dict[str, RecallBy | MarginCurve | None]]:
    """Metrics by group, and what metrics.json says of the recommender beside its choice.

    Only accuracy and coverage where nobody is asked.
    """
    if chosen is None or not rankings or not task.baskets:
        return ranking_groups(rankings, task.baskets, inputs.items.height), {}
    config = inputs.config
    catalogue = read_catalogue(task, inputs.items)
    resampling = {"num_resamples": config.num_resamples, "seed": config.seed}
    judged = {
        name: judged_lists(ranking, task.baskets, catalogue.numbers)
        for name, ranking in rankings.items()
    }
    # What is known of a sample alone cannot stand beside what is known of everybody.
    whole = {
        name: of_model
        for name, of_model in judged.items()
        if name != RERANKER and not name.endswith(SAMPLED)
    }
    groups = judged_groups(judged, task.baskets, catalogue, **resampling)
    return groups, {
        "recall_by_orders": recall_by_orders(whole, task.baskets, **resampling),
        "recall_by_buyers": recall_by_buyers(whole, task.baskets, catalogue, **resampling),
        "margin_curve": margin_curve(inputs, task, catalogue, chosen, learned),
    }
