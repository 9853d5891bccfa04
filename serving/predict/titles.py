"""LLaMA's part in recommendations: it reads the titles of what the ranker proposes, where the arena found that good."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from lifecycle.artifact.contents import Artifact, RerankSettings
from lifecycle.recommend.fusion import fused
from lifecycle.recommend.prompts import history_prompt, item_texts, items_bought

if TYPE_CHECKING:  # torch comes with it, which most artifacts need not
    from lifecycle.llama.rerank import Reranker


@dataclass(frozen=True)
class TitleReader:
    """A language model, and the titles of the catalogue."""

    reranker: "Reranker"
    settings: RerankSettings
    texts: Mapping[str, str]


def load_title_reader(artifact: Artifact) -> TitleReader | None:
    """What reads titles for an artifact; None where nobody does."""
    settings = artifact.settings.reranking
    if settings is None:
        return None
    from lifecycle.llama.rerank import load_reranker

    reranker = load_reranker(settings.base_model.path, "sdpa", artifact.reranker)
    return TitleReader(reranker, settings, item_texts(artifact.items))


def read_titles(
    reader: TitleReader, rankings: pl.DataFrame, bought: pl.DataFrame, k: int
) -> pl.DataFrame:
    """The k best of each ranking by both scores, as the arena judged it; what is not read stays behind what is."""
    is_read = pl.col("rank") <= reader.settings.num_candidates
    candidates = rankings.filter(is_read).sort("customer_id", "rank")
    histories = items_bought(bought)
    scores: list[float] = []
    lists = candidates.group_by("customer_id", maintain_order=True).agg("item_id")
    for customer, items in lists.iter_rows():
        prompt = history_prompt(histories.get(customer, []), reader.texts)
        scores += reader.reranker.scores(prompt, [reader.texts[item] for item in items])
    scored = candidates.with_columns(pl.Series("text_score", scores, dtype=pl.Float64))
    read = fused(scored, reader.settings.weight, k)
    rest = rankings.filter(~is_read & (pl.col("rank") <= k))
    if rest.is_empty():
        return read
    least = read.group_by("customer_id").agg(pl.col("score").min().alias("least"))
    last = candidates.group_by("customer_id").agg(pl.col("score").min().alias("last"))
    known = rest.join(least, on="customer_id").join(last, on="customer_id")
    score = (pl.col("least") + pl.col("score") - pl.col("last")).alias("score")
    behind = known.select("customer_id", pl.col("rank").cast(pl.Int64), "item_id", score)
    return pl.concat([read, behind]).sort("customer_id", "rank")
