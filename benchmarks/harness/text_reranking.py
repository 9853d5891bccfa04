"""What LLaMA's reading of titles brings beside a member of task next_item, on seeded samples of customers."""

from pathlib import Path
from statistics import mean

import polars as pl

from benchmarks.harness.evidence import Json
from benchmarks.harness.shop import CONFIGS
from lifecycle.metrics.ranking import ndcg
from lifecycle.names import RERANKER, SEQUENCE_LLAMA
from training.evaluate.inputs import read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.judging import SAMPLED
from training.evaluate.recommend.rankings import judge_recommenders
from training.evaluate.recommend.tasks import RankingTask, final_task


def text_reranking(
    recipe: str, places: dict[str, Path], member: Path, customers: int, short: int
) -> dict[str, Json]:
    """The weight that the arena chose before the test, and by how much of itself NDCG@10 changes at the test.

    `rerank_gain_short` is of those with at most `short` purchases. A weight of 0 changes nothing.
    """
    config = EvaluateConfig.load(CONFIGS / recipe).model_copy(
        update={
            **places,
            "ranking_members": {SEQUENCE_LLAMA: member},
            "models": ("popularity", RERANKER),
            "base_model": "models/smollm2-135m-instruct",
            "rerank_customers": customers,
        }
    )
    inputs = read_inputs(config)
    task = final_task(inputs)
    found = judge_recommenders(inputs)
    reranking = found.recommender.reranking
    assert reranking is not None and reranking.over == SEQUENCE_LLAMA
    alone = _ndcg_by_customer(found.rankings, f"{SEQUENCE_LLAMA}{SAMPLED}", task)
    fused = _ndcg_by_customer(found.rankings, RERANKER, task)
    of_short = [name for name in fused if task.baskets[name].num_orders <= short]
    before = reranking.before_test.get("all")
    return {
        "rerank_weight": reranking.weight,
        "rerank_ndcg_gain": _gain(fused, alone, list(fused)),
        "rerank_gain_short": _gain(fused, alone, of_short),
        "rerank_customers": len(fused),
        "rerank_why": reranking.why,
        "rerank_before_test": None if before is None else list(before.ndcg_at_20),
    }


def _ndcg_by_customer(rankings: pl.DataFrame, model: str, task: RankingTask) -> dict[str, float]:
    ordered = rankings.filter(pl.col("model") == model).sort("customer_id", "rank")
    lists = ordered.group_by("customer_id", maintain_order=True).agg("item_id").iter_rows()
    return {name: ndcg(items, task.baskets[name].truth, 10) for name, items in lists}


def _gain(fused: dict[str, float], alone: dict[str, float], names: list[str]) -> float:
    return mean(fused[name] for name in names) / mean(alone[name] for name in names) - 1
