"""One score of a ranker's and LLaMA's: what re-ranking with text orders a ranker's candidates by.

Candidates are a ranking (`lifecycle.recommend.baselines`) with a column `text_score`, LLaMA's; see
`lifecycle.llama.rerank`.
"""

import polars as pl


def fused(candidates: pl.DataFrame, weight: float, k: int) -> pl.DataFrame:
    """The k best candidates of each customer, a ranking; equal ones stay in the ranker's order.

    The score is the logarithm of the softmax of the ranker's scores over the customer's candidates,
    plus `weight` times LLaMA's. So with a weight of 0 the order is the ranker's.
    """
    score = log_softmax(pl.col("score")) + weight * pl.col("text_score")
    scored = candidates.sort("customer_id", "rank").with_columns(score=score)
    ordered = scored.sort("customer_id", "score", descending=[False, True], maintain_order=True)
    rank = (pl.int_range(pl.len()).over("customer_id") + 1).cast(pl.Int64)
    ranked = ordered.with_columns(rank=rank).filter(pl.col("rank") <= k)
    return ranked.select("customer_id", "rank", "item_id", "score")


def log_softmax(scores: pl.Expr) -> pl.Expr:
    """Over the rows of each customer."""
    above = scores - scores.max()
    return (above - above.exp().sum().log()).over("customer_id")


def weight_unit(candidates: pl.DataFrame) -> float:
    """The weight at which both scores differ as much among a customer's candidates, in the median; 0 where it is none.

    Rankers count orders, shares or logarithms: a weight says something only beside their spread.
    """
    spread = candidates.group_by("customer_id").agg(pl.col("score", "text_score").std())
    ranker, text = (spread[name].fill_null(0.0).median() for name in ("score", "text_score"))
    assert isinstance(ranker, float) and isinstance(text, float)
    return ranker / text if text > 0 else 0.0
