"""The recommendation arena: what each customer bought next, ranked by every model over the full catalogue."""

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.jobs import Progress
from lifecycle.metrics.ranking import ranking_metrics
from lifecycle.names import RANKERS, RERANKER
from lifecycle.recommend.groups import customer_group, split_truth
from lifecycle.recommend.rankers import rank_items
from lifecycle.recommend.retrieval import Retriever, fit_retriever
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.next_item import member_rankings
from training.evaluate.recommend.reranked import TOP, customers_of, rerank_rankings
from training.evaluate.recommend.tasks import Basket, RankingTask, final_task, selection_task
from training.results.recommend import RankMetrics, Recommender

logger = logging.getLogger(__name__)
SAMPLED = "@sample"
GROUPS = ("all", "new", "thin", "rich", "repeat_items", "new_items")
Groups = dict[str, dict[str, RankMetrics]]  # by group of customers and model
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


def judge_recommenders(inputs: Inputs) -> Recommendation:
    """Every ranker on what each customer bought next, and the choice among the cheap ones on an earlier task."""
    task = final_task(inputs)
    rankings = rank_customers(inputs, task)
    chosen, compared = choose_recommender(inputs, selection_task(inputs))
    groups = ranking_groups(rankings, task.baskets, inputs.items.height)
    return Recommendation(
        recommendation={task.name: groups},
        recommender=compared,
        rankings=rankings_frame(rankings, task.name),
        chosen=chosen,
        num_customers=len(task.baskets),
    )


def rank_customers(inputs: Inputs, task: RankingTask) -> dict[str, pl.DataFrame]:
    """Rankings (customer_id, rank, item_id, score) by every ranker of the recipe; costly ones on a seeded sample.

    The other models are on that sample too, as `<name>@sample`. Without items there is nothing to
    rank.
    """
    config = inputs.config
    asked = [name for name in config.models if name in (*RANKERS, RERANKER)]
    if inputs.items.is_empty():
        if asked:
            logger.warning("%s are left out: the data name no items", ", ".join(asked))
        return {}
    retriever = fit_retriever(task.shards(), inputs.items["item_id"], cutoff=task.cutoff)
    rankings = cheap_rankings(inputs, retriever, task) | member_rankings(inputs, task)
    if RERANKER in asked and inputs.base_model is None:
        logger.warning("%s is left out: the recipe names neither base_model nor a member", RERANKER)
    elif RERANKER in asked and task.baskets:
        sample = _sample(task.baskets, config.rerank_customers, config.seed)
        rankings |= {
            f"{name}{SAMPLED}": ranking.filter(pl.col("customer_id").is_in(sample))
            for name, ranking in rankings.items()
        }
        rankings[RERANKER] = rerank_rankings(inputs, retriever, task, sample)
    return rankings


def _sample(baskets: dict[str, Basket], num_customers: int, seed: int) -> list[str]:
    customers = sorted(baskets)
    size = min(num_customers, len(customers))
    chosen = np.random.default_rng(seed).choice(len(customers), size, replace=False)
    return [customers[index] for index in sorted(chosen)]


def choose_recommender(inputs: Inputs, task: RankingTask) -> tuple[str | None, Recommender]:
    """The cheap ranker of highest NDCG@20 on the earlier `task`, and the numbers compared.

    None where the data name no items; popularity where the recipe asks for no cheap ranker.
    """
    rule = f"highest ndcg@20 on {task.name} before the test window"
    if inputs.items.is_empty():
        return None, _recommender(None, rule, {})
    retriever = fit_retriever(task.shards(), inputs.items["item_id"], cutoff=task.cutoff)
    table = ranking_groups(
        cheap_rankings(inputs, retriever, task), task.baskets, inputs.items.height
    )
    scores = {name: row.ndcg_at_20 or 0.0 for name, row in table.get("all", {}).items()}
    best = max(scores, key=lambda name: scores[name], default=RANKERS[0])
    return best, _recommender(best, rule, scores)


def _recommender(model: str | None, rule: str, scores: dict[str, float]) -> Recommender:
    return Recommender.model_validate({"model": model, "rule": rule, "ndcg@20": scores})


def cheap_rankings(
    inputs: Inputs, retriever: Retriever, task: RankingTask
) -> dict[str, pl.DataFrame]:
    """The cheap rankers of the recipe for every customer of the task, over the full catalogue of the retriever."""
    config = inputs.config
    rankings: dict[str, list[pl.DataFrame]] = {
        name: [] for name in RANKERS if name in config.models
    }
    progress = Progress(
        f"{task.name} ranked", len(rankings) * len(task.baskets), "rankings of customers"
    )
    for shard in task.shards():
        known = shard.filter(pl.col("item_id").is_in(retriever.item_ids.implode()))
        customers = customers_of(shard, task.baskets)
        for name, parts in rankings.items():
            parts.append(
                rank_items(
                    name,
                    retriever,
                    known,
                    customers,
                    cutoff=task.cutoff,
                    k=TOP,
                    exclude_seen=config.exclude_seen,
                )
            )
            progress.advance(customers.len())
    return {name: pl.concat(parts) for name, parts in rankings.items()}


def ranking_groups(
    rankings: dict[str, pl.DataFrame], baskets: dict[str, Basket], num_items: int
) -> Groups:
    """Each model's metrics by group of the customers it ranked."""
    result: Groups = {}
    for name, ranking in rankings.items():
        ordered = ranking.sort("customer_id", "rank").group_by("customer_id")
        lists = dict(ordered.agg("item_id").iter_rows())
        for group, truths in _truths(baskets, set(lists)).items():
            chosen = {customer: lists[customer] for customer in truths}
            found = ranking_metrics(chosen, truths, num_items)
            result.setdefault(group, {})[name] = RankMetrics.model_validate(found)
    return result


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


def rankings_frame(rankings: dict[str, pl.DataFrame], task: str) -> pl.DataFrame:
    """rankings.parquet: 20 rows per customer and model, fewer only where the catalogue has no more to offer."""
    frames = [pl.DataFrame(schema=RANKINGS_SCHEMA)]
    for name, ranking in rankings.items():
        named = ranking.with_columns(task=pl.lit(task), model=pl.lit(name))
        frames.append(named.select(list(RANKINGS_SCHEMA)).cast(RANKINGS_SCHEMA))
    return pl.concat(frames)
