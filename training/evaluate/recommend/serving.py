"""What serves by the choice of the arena: the router, its lists of judged customers, the rankers of the artifact."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import polars as pl

from lifecycle.names import ROUTER, SEGMENT_POPULARITY
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.router import Router
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.choice import NEWCOMERS, segments_of
from training.evaluate.recommend.next_item import fitted
from training.evaluate.recommend.tasks import NEXT_BASKET, Basket, RankingTask
from training.evaluate.recommend.windows import Learned, open_window
from training.results.recommend import Recommender


def router_of(compared: Recommender) -> Router | None:
    """The choice as service and arena follow it; None where there is nothing to recommend."""
    if compared.model is None:
        return None
    by_group = {
        group: choice.model
        for group, choice in compared.router.items()
        if group != NEWCOMERS and choice.model != compared.model
    }
    return Router(compared.model, by_group)


def serves_segments(compared: Recommender) -> bool:
    """Whether newcomers get what is popular in their segment."""
    choice = compared.router.get(NEWCOMERS)
    return choice is not None and choice.model == SEGMENT_POPULARITY


def routed(
    router: Router | None,
    rankings: Mapping[str, pl.DataFrame],
    baskets: Mapping[str, Basket],
    sampled: str,
) -> dict[str, pl.DataFrame]:
    """What serves, as rankings: each customer's list by the ranker of its group.

    Rankings of a sample, whose names end in `sampled`, have theirs too.
    """
    if router is None:
        return {}
    found = {}
    served = {name: router.ranker_of(basket.num_orders) for name, basket in baskets.items()}
    for suffix in ("", sampled):
        if f"{router.everybody}{suffix}" not in rankings:
            continue  # no ranker was asked for, or no sample
        parts = [
            rankings[f"{ranker}{suffix}"].filter(
                pl.col("customer_id").is_in([one for one in served if served[one] == ranker])
            )
            for ranker in router.names
        ]
        found[f"{ROUTER}{suffix}"] = pl.concat(parts)
    return found


def serving_rankers(inputs: Inputs, compared: Recommender, learned: Learned) -> Rankers | None:
    """The rankers that serve, as they were judged or, with `refit`, fitted to all purchases."""
    router = router_of(compared)
    if router is None:
        return None
    end = inputs.data.last_event_at + timedelta(microseconds=1)
    cutoff = end if inputs.config.refit else inputs.test_cutoff
    known = RankingTask(NEXT_BASKET, inputs.config.data, cutoff, {})
    window = open_window(known, inputs.items, inputs.config.seed)
    rankers = fitted(inputs, window, router.names, learned)
    if not serves_segments(compared):
        return rankers
    return replace(rankers, segments=segments_of(inputs, known, window.retriever))
