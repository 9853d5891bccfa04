"""The recommendation arena: what each customer bought next, ranked by every model over the full catalogue."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from math import isfinite

import polars as pl

from lifecycle.jobs import Progress
from lifecycle.names import RANK_STACK, RANKERS, RERANKER
from lifecycle.recommend.rankers import Rankers, rank_items
from lifecycle.recommend.scorers.grids import KINDS, Setting
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import (
    SAMPLED,
    TOP,
    Groups,
    gain_over,
    ranking_groups,
)
from training.evaluate.recommend.learning import learn_trees, tune
from training.evaluate.recommend.measures.measured import measured
from training.evaluate.recommend.next_item import member_rankings
from training.evaluate.recommend.reranked import customers_of, rerank_rankings
from training.evaluate.recommend.tasks import (
    NEXT_BASKET,
    RankingTask,
    final_task,
    selection_task,
)
from training.evaluate.recommend.windows import Learned, fit_rankers, open_window, sampled
from training.results.recommend import Gain, Recommender

logger = logging.getLogger(__name__)
RANKINGS_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String,
        "task": pl.String,
        "model": pl.String,
        "rank": pl.Int64,
        "item_id": pl.String,
        "score": pl.Float64,
    }
)


@dataclass(frozen=True)
class Recommendation:
    """How the recommenders did, and which cheap one is to be served (None: the data name no items)."""

    recommendation: dict[str, Groups]  # by task
    recommender: Recommender
    rankings: pl.DataFrame  # rankings.parquet
    chosen: str | None
    num_customers: int
    learned: Learned


def judge_recommenders(inputs: Inputs) -> Recommendation:
    """Every ranker on what each customer bought next, and the choice among the cheap ones on an earlier task."""
    task = final_task(inputs)
    chosen, compared, earlier = choose_recommender(inputs, selection_task(inputs))
    rankings, learned = rank_customers(inputs, task, earlier)
    groups, found = measured(inputs, rankings, task, chosen, learned)
    gain = _gain(inputs, rankings, task, compared)
    return Recommendation(
        recommendation={task.name: groups},
        recommender=compared.model_copy(update={"rank_stack_gain": gain, **found}),
        rankings=rankings_frame(rankings, task.name),
        chosen=chosen,
        num_customers=len(task.baskets),
        learned=learned,
    )


def _gain(
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


def rank_customers(
    inputs: Inputs, task: RankingTask, earlier: Learned | None
) -> tuple[dict[str, pl.DataFrame], Learned]:
    """Rankings (customer_id, rank, item_id, score) by every ranker of the recipe; costly ones on a seeded sample.

    The other models are on that sample too, as `<name>@sample`. Without items there is nothing to
    rank. Beside them what was learned before the task.
    """
    config = inputs.config
    asked = [name for name in config.models if name in (*RANKERS, RERANKER)]
    if inputs.items.is_empty():
        if asked:
            logger.warning("%s are left out: the data name no items", ", ".join(asked))
        return {}, Learned({})
    rankers, learned = learn_rankers(inputs, task, earlier)
    rankings = cheap_rankings(inputs, rankers, task) | member_rankings(inputs, task)
    if RERANKER in asked and inputs.base_model is None:
        logger.warning("%s is left out: the recipe names neither base_model nor a member", RERANKER)
    elif RERANKER in asked and task.baskets:
        sample = sampled(task.baskets, config.rerank_customers, config.seed).to_list()
        rankings |= {
            f"{name}{SAMPLED}": ranking.filter(pl.col("customer_id").is_in(sample))
            for name, ranking in rankings.items()
        }
        rankings[RERANKER] = rerank_rankings(inputs, rankers.retriever, task, sample)
    return rankings, learned


def learn_rankers(
    inputs: Inputs, task: RankingTask, earlier: Learned | None
) -> tuple[Rankers, Learned]:
    """The cheap rankers of the recipe at the cutoff of a task, with the settings of an earlier one.

    Without an earlier one the settings are chosen on this task. Trees are always learned before it;
    those of the earlier one stay where there is nothing to learn from.
    """
    config = inputs.config
    asked = [name for name in RANKERS if name in config.models]
    window = open_window(task, inputs.items, config.seed)
    learned = earlier or Learned(
        tune(window, asked, exclude_seen=config.exclude_seen, seed=config.seed)
    )
    if RANK_STACK in asked:
        trees = learn_trees(task, inputs.items, learned.settings, config.seed)
        learned = replace(learned, trees=trees or learned.trees)
    return fit_rankers(window, asked, learned), learned


def choose_recommender(
    inputs: Inputs, task: RankingTask
) -> tuple[str | None, Recommender, Learned]:
    """The cheap ranker of highest NDCG@20 on the earlier `task`, the numbers compared, and what was learned.

    None where the data name no items; popularity where the recipe asks for no cheap ranker.
    """
    rule = f"highest ndcg@20 on {task.name} before the test window"
    if inputs.items.is_empty():
        return None, _recommender(None, rule, {}, {}), Learned({})
    rankers, learned = learn_rankers(inputs, task, None)
    table = ranking_groups(cheap_rankings(inputs, rankers, task), task.baskets, inputs.items.height)
    scores = {name: row.ndcg_at_20 or 0.0 for name, row in table.get("all", {}).items()}
    best = max(scores, key=lambda name: scores[name], default=RANKERS[0])
    return best, _recommender(best, rule, scores, learned.settings), learned


def _recommender(
    model: str | None, rule: str, scores: dict[str, float], settings: Mapping[str, Setting]
) -> Recommender:
    told = {
        name: {key: value if isfinite(value) else None for key, value in setting.items()}
        for name, setting in settings.items()
    }
    compared = {"model": model, "rule": rule, "ndcg@20": scores, "settings": told}
    return Recommender.model_validate(compared)


def rankers_of_today(inputs: Inputs, chosen: str, learned: Learned) -> Rankers:
    """The chosen ranker fitted to all purchases: what is served may know more than what was judged."""
    end = inputs.data.last_event_at + timedelta(microseconds=1)
    today = RankingTask(NEXT_BASKET, inputs.config.data, end, {})
    return fit_rankers(open_window(today, inputs.items, inputs.config.seed), [chosen], learned)


def cheap_rankings(inputs: Inputs, rankers: Rankers, task: RankingTask) -> dict[str, pl.DataFrame]:
    """The cheap rankers of the recipe for every customer of the task, over the full catalogue of the retriever."""
    config = inputs.config
    rankings: dict[str, list[pl.DataFrame]] = {
        name: []
        for name in RANKERS
        if name in config.models and (name in rankers.fitted or name not in (*KINDS, RANK_STACK))
    }
    progress = Progress(
        f"{task.name} ranked", len(rankings) * len(task.baskets), "rankings of customers"
    )
    for shard in task.shards():
        known = shard.filter(pl.col("item_id").is_in(rankers.retriever.item_ids.implode()))
        customers = customers_of(shard, task.baskets)
        for name, parts in rankings.items():
            parts.append(
                rank_items(
                    name,
                    rankers,
                    known,
                    customers,
                    cutoff=task.cutoff,
                    k=TOP,
                    exclude_seen=config.exclude_seen,
                )
            )
            progress.advance(customers.len())
    return {name: pl.concat(parts) for name, parts in rankings.items()}


def rankings_frame(rankings: dict[str, pl.DataFrame], task: str) -> pl.DataFrame:
    """rankings.parquet: 20 rows per customer and model, fewer only where the catalogue has no more to offer."""
    frames = [pl.DataFrame(schema=RANKINGS_SCHEMA)]
    for name, ranking in rankings.items():
        named = ranking.with_columns(task=pl.lit(task), model=pl.lit(name))
        frames.append(named.select(list(RANKINGS_SCHEMA)).cast(RANKINGS_SCHEMA))
    return pl.concat(frames)
