"""The rankers that may serve, by name: the arena judges and the service answers through the same function."""

from datetime import datetime

import polars as pl

from lifecycle.names import RETRIEVER
from lifecycle.recommend.baselines import personal_frequency, popularity
from lifecycle.recommend.retrieval import Retriever, propose

BASELINES = {"popularity": popularity, "personal_frequency": personal_frequency}


def rank_items(
    name: str,
    retriever: Retriever,
    purchases: pl.DataFrame,
    customer_ids: pl.Series,
    *,
    cutoff: datetime,
    k: int,
    exclude_seen: bool,
    offered: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The k best items for each of `customer_ids` by the ranker of this name, as a ranking.

    `offered` holds those rows of the retriever's popularity that may be recommended; None: the
    whole catalogue.
    """
    if name == RETRIEVER:
        return propose(
            retriever,
            purchases,
            customer_ids,
            cutoff=cutoff,
            num_candidates=k,
            exclude_seen=exclude_seen,
            popular=offered,
        )
    popular = retriever.popular if offered is None else offered
    return BASELINES[name](
        purchases, popular, customer_ids, cutoff=cutoff, k=k, exclude_seen=exclude_seen
    )
