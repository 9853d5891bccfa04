"""The rankers that may serve, by name: the arena judges and the service answers through the same function."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import polars as pl

from lifecycle.names import RANK_STACK, RETRIEVER, SEGMENT_POPULARITY
from lifecycle.recommend.baselines import before, personal_frequency, popularity
from lifecycle.recommend.histories import read_histories
from lifecycle.recommend.ordering import is_offered, rank_scores
from lifecycle.recommend.retrieval import Retriever, load_retriever, propose, save_retriever
from lifecycle.recommend.scorers.files import load_arrays, save_arrays
from lifecycle.recommend.scorers.grids import KINDS
from lifecycle.recommend.scorers.ranker import Ranker
from lifecycle.recommend.segments import Segments, load_segments, save_segments
from lifecycle.recommend.stack.rank_stack import RankStack, load_rank_stack, save_rank_stack

BASELINES = {"popularity": popularity, "personal_frequency": personal_frequency}


class Encoder(Protocol):
    """A trained encoder of purchases, which needs no fit."""

    def rank(
        self,
        purchases: pl.DataFrame,
        customer_ids: pl.Series,
        *,
        k: int,
        exclude_seen: bool,
        offered: pl.Series | None = None,
    ) -> pl.DataFrame:
        """The k best of the `offered` items (None: all) for each customer with purchases, as a ranking.

        Scores are logarithms of probabilities.
        """


@dataclass(frozen=True)
class Rankers:
    """All that is fitted to one shop before one instant."""

    retriever: Retriever  # the catalogue and what is popular, for every ranker
    fitted: Mapping[str, Ranker] = field(default_factory=dict)
    segments: Segments | None = None  # of customers without a purchase; None: all are alike
    encoders: Mapping[str, Encoder] = field(default_factory=dict)  # not written by `save_rankers`


def rank_items(
    name: str,
    rankers: Rankers,
    purchases: pl.DataFrame,
    customer_ids: pl.Series,
    *,
    cutoff: datetime,
    k: int,
    exclude_seen: bool,
    offered: pl.DataFrame | None = None,
    segments: Sequence[str | None] = (),
) -> pl.DataFrame:
    """The k best items for each of `customer_ids` by the ranker of this name, as a ranking.

    `offered` holds those rows of the retriever's popularity that may be recommended; None: the
    whole catalogue. `segments` are those of the customers, for the popularity in them.
    """
    retriever = rankers.retriever
    popular = retriever.popular if offered is None else offered
    if name == SEGMENT_POPULARITY:
        assert rankers.segments is not None
        values = pl.Series("value", segments, dtype=pl.String)
        return rankers.segments.ranking(values, customer_ids, retriever, popular, k=k)
    if name in rankers.encoders:
        return rankers.encoders[name].rank(
            before(purchases, cutoff).with_columns(shop_day=pl.lit(None, pl.Date)),
            customer_ids,
            k=k,
            exclude_seen=exclude_seen,
            offered=None if offered is None else offered["item_id"],
        )
    if name in rankers.fitted:
        histories = read_histories(purchases, customer_ids, retriever.item_ids, cutoff=cutoff)
        may_be = None if offered is None else is_offered(offered, retriever.item_ids)
        return rank_scores(
            rankers.fitted[name].scores(histories, may_be),
            histories,
            customer_ids,
            retriever.item_ids,
            popular,
            k=k,
            exclude_seen=exclude_seen,
        )
    if offered is not None:
        purchases = purchases.filter(pl.col("item_id").is_in(offered["item_id"].implode()))
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
    return BASELINES[name](
        purchases, popular, customer_ids, cutoff=cutoff, k=k, exclude_seen=exclude_seen
    )


def save_rankers(folder: Path, rankers: Rankers) -> None:
    """Write the retriever, and what is fitted beside it, into an existing folder."""
    save_retriever(folder, rankers.retriever)
    for name, ranker in rankers.fitted.items():
        if isinstance(ranker, RankStack):
            save_rank_stack(folder, ranker)
        else:
            save_arrays(folder, name, ranker)
    if rankers.segments is not None:
        save_segments(folder, rankers.segments)


def load_rankers(folder: Path, names: Collection[str]) -> Rankers:
    """What `save_rankers` wrote, as far as the rankers of these names need it."""
    fitted: dict[str, Ranker] = {
        name: load_arrays(folder, name, KINDS[name].kept_as) for name in names if name in KINDS
    }
    if RANK_STACK in names:
        fitted[RANK_STACK] = load_rank_stack(folder)
    return Rankers(load_retriever(folder), fitted, load_segments(folder))
