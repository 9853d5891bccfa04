"""The recommendation arena: what each customer bought next, ranked by every model over the full catalogue."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

import polars as pl

from lifecycle.jobs import Progress
from lifecycle.names import RANK_STACK, RANKERS, RERANKER
from lifecycle.recommend.rankers import Rankers, rank_items
from lifecycle.recommend.scorers.grids import KINDS, Setting
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.choice import (
    NEWCOMERS,
    choose_by_group,
    choose_for_newcomers,
)
from training.evaluate.recommend.judging import SAMPLED, TOP, Groups, ranking_groups
from training.evaluate.recommend.learning import learn_trees, tune
from training.evaluate.recommend.measures.measured import measured, stack_gain
from training.evaluate.recommend.next_item import fitted, may_be_chosen, member_rankings
from training.evaluate.recommend.reranked import customers_of, reranked
from training.evaluate.recommend.serving import routed, router_of
from training.evaluate.recommend.tasks import (
    RankingTask,
    final_task,
    selection_task,
)
from training.evaluate.recommend.text_weight import choose_weight, with_test
from training.evaluate.recommend.windows import Learned, open_window, sampled
from training.results.recommend import Recommender, Reranking

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
    task, selection = final_task(inputs), selection_task(inputs)
    chosen, compared, earlier = choose_recommender(inputs, selection)
    reranking = choose_weight(inputs, selection, chosen, earlier)
    rankings, learned = rank_customers(inputs, task, earlier, reranking)
    rankings |= routed(router_of(compared), rankings, task.baskets, SAMPLED)
    groups, found = measured(inputs, rankings, task, chosen, learned)
    told = {
        "rank_stack_gain": stack_gain(inputs, rankings, task, compared),
        "reranking": with_test(inputs, task, reranking, rankings, SAMPLED),
    }
    return Recommendation(
        recommendation={task.name: groups},
        recommender=compared.model_copy(update=told | found),
        rankings=rankings_frame(rankings, task.name),
        chosen=chosen,
        num_customers=len(task.baskets),
        learned=learned,
    )


def rank_customers(
    inputs: Inputs,
    task: RankingTask,
    earlier: Learned | None,
    reranking: Reranking | None = None,
) -> tuple[dict[str, pl.DataFrame], Learned]:
    """Rankings (customer_id, rank, item_id, score) by every ranker of the recipe; re-ranking on a seeded sample.

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
    if reranking is not None and task.baskets:
        sample = sampled(task.baskets, config.rerank_customers, config.seed).to_list()
        rankings |= {
            f"{name}{SAMPLED}": ranking.filter(pl.col("customer_id").is_in(sample))
            for name, ranking in rankings.items()
        }
        rankings[RERANKER] = reranked(
            inputs, rankers, reranking.over, task, sample, reranking.weight
        )
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
    return fitted(inputs, window, asked, learned), learned


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
    rankings = cheap_rankings(inputs, rankers, task)
    if may_be_chosen(inputs):
        rankings |= member_rankings(inputs, task)
    table = ranking_groups(rankings, task.baskets, inputs.items.height)
    scores = {name: row.ndcg_at_20 or 0.0 for name, row in table.get("all", {}).items()}
    best = max(scores, key=lambda name: scores[name], default=RANKERS[0])
    router = choose_by_group(inputs.config, rankings, table, task.baskets, best)
    newcomers = choose_for_newcomers(inputs, task, rankers.retriever)
    if newcomers is not None:
        router[NEWCOMERS] = newcomers
    compared = _recommender(best, rule, scores, learned.settings)
    return best, compared.model_copy(update={"router": router}), learned


def _recommender(
    model: str | None, rule: str, scores: dict[str, float], settings: Mapping[str, Setting]
) -> Recommender:
    told = {
        name: {key: value if isfinite(value) else None for key, value in setting.items()}
        for name, setting in settings.items()
    }
    compared = {"model": model, "rule": rule, "ndcg@20": scores, "settings": told}
    return Recommender.model_validate(compared)


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
