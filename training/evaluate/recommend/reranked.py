"""LLaMA's re-ranking of the retriever's candidates, by the likelihood of their texts after a customer's purchases."""

from collections.abc import Iterable
from typing import TypedDict

import polars as pl
import pyarrow as pa

from lifecycle.recommend.prompts import item_text, shopping_prompt
from lifecycle.recommend.retrieval import Retriever, propose
from training.distributed.map import map_rows
from training.distributed.members import RerankActor
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import TOP
from training.evaluate.recommend.tasks import RankingTask

# Distinct titles in a re-ranker's prompt, out of so many last lines.
PROMPT_TITLES = 8
PROMPT_LINES = 60


class Candidates(TypedDict):
    """A row of what LLaMA ranks: a customer's prompt, and the items with their texts."""

    customer_id: str
    prompt: str
    item_ids: list[str]
    texts: list[str]


def customers_of(shard: pl.DataFrame, wanted: Iterable[str]) -> pl.Series:
    """Those of the wanted customers who are in a shard, in their order."""
    customers = shard["customer_id"].unique().sort()
    return customers.filter(customers.is_in(list(wanted)))


def rerank_rankings(
    inputs: Inputs, retriever: Retriever, task: RankingTask, customers: list[str]
) -> pl.DataFrame:
    """The retriever's candidates for the given customers, in the order of LLaMA's likelihood."""
    items = inputs.items
    described = map(item_text, items["title"], items["category"])
    texts = dict(zip(items["item_id"], described, strict=True))
    rows: list[Candidates] = []
    for shard in task.shards():
        chosen = customers_of(shard, customers)
        if not chosen.is_empty():
            rows += _candidates(inputs, retriever, task, shard, chosen, texts)
    scored = map_rows(
        pa.Table.from_pylist(rows),
        RerankActor,
        {"base_model": str(inputs.base_model), "attention": inputs.config.attention},
        label="re-ranked by LLaMA",
        num_workers=inputs.config.num_workers,
        block_rows=10,
    )
    return _reranked(scored)


def _candidates(
    inputs: Inputs,
    retriever: Retriever,
    task: RankingTask,
    shard: pl.DataFrame,
    chosen: pl.Series,
    texts: dict[str, str],
) -> list[Candidates]:
    """What is proposed to the chosen customers of a shard, and the prompt of each."""
    is_chosen = pl.col("customer_id").is_in(chosen.implode())
    mine = shard.filter(is_chosen & (pl.col("occurred_at") < task.cutoff))
    proposed = propose(
        retriever,
        mine,
        chosen,
        cutoff=task.cutoff,
        num_candidates=inputs.config.num_candidates,
        exclude_seen=inputs.config.exclude_seen,
    )
    bought = _recent_texts(mine, texts)
    found: list[Candidates] = []
    for (customer,), group in proposed.group_by("customer_id", maintain_order=True):
        ids = group["item_id"].to_list()
        found.append(
            {
                "customer_id": str(customer),
                "prompt": shopping_prompt(bought.get(str(customer), []), max_titles=PROMPT_TITLES),
                "item_ids": ids,
                "texts": [texts[item] for item in ids],
            }
        )
    return found


def _recent_texts(purchases: pl.DataFrame, texts: dict[str, str]) -> dict[str, list[str]]:
    """Each customer's last purchases, oldest first, as the re-ranker reads them; items off the catalogue left out."""
    ordered = purchases.sort("occurred_at", maintain_order=True).group_by(
        "customer_id", maintain_order=True
    )
    recent = ordered.agg(pl.col("item_id").tail(PROMPT_LINES))
    return {
        customer: [texts[item] for item in items if item in texts]
        for customer, items in recent.iter_rows()
    }


def _reranked(scored: pa.Table) -> pl.DataFrame:
    """customer_id, rank, item_id, score: best score first, equal scores in the retriever's order."""
    frame = pl.from_arrow(scored.select(["customer_id", "item_ids", "scores"]))
    assert isinstance(frame, pl.DataFrame)
    rows = frame.explode("item_ids", "scores").rename({"item_ids": "item_id", "scores": "score"})
    ordered = rows.sort("customer_id", "score", descending=[False, True], maintain_order=True)
    ranked = ordered.with_columns(
        (pl.int_range(pl.len()).over("customer_id") + 1).cast(pl.Int64).alias("rank")
    )
    return ranked.filter(pl.col("rank") <= TOP).select("customer_id", "rank", "item_id", "score")
