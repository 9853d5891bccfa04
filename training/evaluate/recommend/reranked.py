"""LLaMA's re-ranking: the candidates of a ranker with how likely their texts are after a customer's purchases."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lifecycle.names import RERANKER
from lifecycle.recommend.fusion import fused
from lifecycle.recommend.prompts import history_prompt, item_texts, items_bought
from lifecycle.recommend.rankers import Rankers, rank_items
from training.distributed.map import map_rows
from training.distributed.members import RerankActor
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import TOP
from training.evaluate.recommend.tasks import RankingTask


@dataclass(frozen=True)
class Proposed:
    """What LLaMA is to read: customer_id, rank, item_id, score (the ranker's), text; and customer_id, prompt."""

    items: pl.DataFrame
    prompts: pl.DataFrame


def customers_of(shard: pl.DataFrame, wanted: Iterable[str]) -> pl.Series:
    """Those of the wanted customers who are in a shard, in their order."""
    customers = shard["customer_id"].unique().sort()
    return customers.filter(customers.is_in(list(wanted)))


def reranked(
    inputs: Inputs,
    rankers: Rankers,
    ranker: str,
    task: RankingTask,
    customers: list[str],
    weight: float,
) -> pl.DataFrame:
    """The best of a ranker's candidates by its score and LLaMA's; with a weight of 0 LLaMA reads nothing."""
    found = candidates_of(inputs, rankers, ranker, task, customers)
    if weight == 0:
        return fused(found.items.with_columns(text_score=0.0), 0.0, TOP)
    member = inputs.config.ranking_members.get(RERANKER)
    return fused(with_text_scores(inputs, found, member), weight, TOP)


def candidates_of(
    inputs: Inputs, rankers: Rankers, ranker: str, task: RankingTask, customers: list[str]
) -> Proposed:
    """What a ranker proposes to the given customers of a task."""
    texts = item_texts(inputs.items)
    proposed: list[pl.DataFrame] = []
    prompts: list[tuple[str, str]] = []
    for shard in task.shards():
        chosen = customers_of(shard, customers)
        is_known = pl.col("item_id").is_in(rankers.retriever.item_ids.implode())
        is_asked = pl.col("customer_id").is_in(chosen.implode())
        mine = shard.filter(is_known & is_asked & (pl.col("occurred_at") < task.cutoff))
        proposed.append(
            rank_items(
                ranker,
                rankers,
                mine,
                chosen,
                cutoff=task.cutoff,
                k=inputs.config.num_candidates,
                exclude_seen=inputs.config.exclude_seen,
            )
        )
        bought = items_bought(mine)
        prompts += [(one, history_prompt(bought.get(one, []), texts)) for one in chosen]
    candidates = pl.concat(proposed).sort("customer_id", "rank")
    text = candidates["item_id"].replace_strict(texts, return_dtype=pl.String).alias("text")
    schema = {"customer_id": pl.String, "prompt": pl.String}
    return Proposed(
        candidates.with_columns(text), pl.DataFrame(prompts, schema=schema, orient="row")
    )


def with_text_scores(inputs: Inputs, found: Proposed, member: Path | None) -> pl.DataFrame:
    """The candidates with the column `text_score`: what a member of task rerank, or the base model, makes of them."""
    assert inputs.base_model is not None
    texts = (
        found.items.group_by("customer_id", maintain_order=True)
        .agg("text")
        .rename({"text": "texts"})
    )
    scored = map_rows(
        texts.join(found.prompts, on="customer_id", maintain_order="left").to_arrow(),
        RerankActor,
        {
            "base_model": inputs.base_model,
            "member": None if member is None else member.absolute(),
            "attention": inputs.config.attention,
        },
        label="re-ranked by LLaMA",
        num_workers=inputs.config.num_workers,
        block_rows=10,
    )
    scores = pl.Series("text_score", scored["scores"].to_pylist(), dtype=pl.List(pl.Float64))
    return found.items.with_columns(scores.explode())
