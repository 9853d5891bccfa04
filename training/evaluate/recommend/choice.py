"""Which ranker serves which group of customers: chosen on a window before the test, by what is clearly better there."""

import logging
from collections.abc import Mapping

import polars as pl

from lifecycle.features.attributes import PREFIX, read_customers
from lifecycle.names import SEGMENT_POPULARITY
from lifecycle.recommend.groups import CUSTOMER_GROUPS, customer_group
from lifecycle.recommend.rankers import Rankers, rank_items
from lifecycle.recommend.retrieval import Retriever
from lifecycle.recommend.router import POPULARITY
from lifecycle.recommend.segments import Segments, fit_segments
from training.evaluate.inputs import Inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.judging import TOP, Groups, gain_over, ranking_groups
from training.evaluate.recommend.tasks import Basket, RankingTask, newcomer_baskets, purchase_shards
from training.evaluate.recommend.windows import known_histories, past_customers
from training.results.recommend import GroupChoice

logger = logging.getLogger(__name__)
LEAST_CUSTOMERS = 30  # of a group; fewer tell nothing
NEWCOMERS = "newcomers"  # who have not bought yet
Rankings = Mapping[str, pl.DataFrame]


def choose_by_group(
    config: EvaluateConfig,
    rankings: Rankings,
    table: Groups,
    baskets: Mapping[str, Basket],
    everybody: str,
) -> dict[str, GroupChoice]:
    """By group of customers the ranker of highest NDCG@20 where it is clearly better than `everybody`'s, else that one.

    `table` holds the metrics of the rankings.
    """
    found = {}
    for group in CUSTOMER_GROUPS:
        theirs = {
            name: basket
            for name, basket in baskets.items()
            if customer_group(basket.num_orders) == group
        }
        scores = _scores(table, group)
        if scores:
            found[group] = _choice(config, rankings, scores, theirs, everybody)
    return found


def _scores(table: Groups, group: str) -> dict[str, float]:
    rows = table.get(group, {})
    return {name: row.ndcg_at_20 for name, row in rows.items() if row.ndcg_at_20 is not None}


def _choice(
    config: EvaluateConfig,
    rankings: Rankings,
    scores: dict[str, float],
    baskets: dict[str, Basket],
    everybody: str,
) -> GroupChoice:
    best = max(scores, key=lambda name: scores[name])
    gain = None
    if best != everybody and len(baskets) >= LEAST_CUSTOMERS:
        gain = gain_over(
            rankings[best],
            rankings[everybody],
            everybody,
            baskets,
            num_resamples=config.num_resamples,
            seed=config.seed,
        )
    is_better = gain is not None and gain.ndcg_at_20[1] > 0
    choice = {
        "model": best if is_better else everybody,
        "best": best,
        "num_customers": len(baskets),
        "ndcg@20": scores,
        "gain": gain,
    }
    return GroupChoice.model_validate(choice)


def choose_for_newcomers(
    inputs: Inputs, task: RankingTask, retriever: Retriever
) -> GroupChoice | None:
    """Whether what is popular in their segment serves newcomers better than what is popular with everybody.

    They are those of the task's window whose segment is known. None where the shop knows nothing of
    customers but what they buy.
    """
    if not any(code.categories for code in inputs.attributes):
        return None
    shards = purchase_shards(task.data)
    joined = newcomer_baskets(shards, task.cutoff, until=inputs.test_cutoff)
    described = _attributes(inputs).filter(~pl.all_horizontal(pl.exclude("customer_id").is_null()))
    baskets = {name: joined[name] for name in described["customer_id"] if name in joined}
    segments = None
    if len(baskets) >= LEAST_CUSTOMERS:  # fewer could choose nothing
        segments = segments_of(inputs, task, retriever)
    told = {} if segments is None else _values(inputs, segments, list(baskets))
    if segments is None or not told:
        return GroupChoice(model=POPULARITY, best=POPULARITY, num_customers=len(baskets))
    baskets = {name: basket for name, basket in baskets.items() if name in told}
    rankers = Rankers(retriever, segments=segments)
    names = pl.Series("customer_id", sorted(baskets))
    nothing = next(iter(purchase_shards(task.data))).clear()
    rankings = {
        name: rank_items(
            name,
            rankers,
            nothing,
            names,
            cutoff=task.cutoff,
            k=TOP,
            exclude_seen=inputs.config.exclude_seen,
            segments=[told[customer] for customer in names],
        )
        for name in (POPULARITY, SEGMENT_POPULARITY)
    }
    table = ranking_groups(rankings, baskets, len(retriever.item_ids))
    choice = _choice(inputs.config, rankings, _scores(table, "all"), baskets, POPULARITY)
    logger.info("newcomers by %s: %s", segments.attribute, choice.model)
    return choice


def segments_of(inputs: Inputs, task: RankingTask, retriever: Retriever) -> Segments | None:
    """Segments by what everybody, or a sample, bought before a task; None where no attribute tells anything."""
    customers = past_customers(task, inputs.config.seed)
    histories = known_histories(task, customers, retriever.item_ids)
    asked = customers.to_frame("customer_id")
    known = asked.join(_attributes(inputs), on="customer_id", how="left", maintain_order="left")
    return fit_segments(histories, known.drop("customer_id"), retriever)


def _attributes(inputs: Inputs) -> pl.DataFrame:
    """customer_id, and as text each attribute that has categories; null where it is none of them."""
    columns = []
    for code in inputs.attributes:
        if code.categories is not None:
            text = pl.col(PREFIX + code.name).cast(pl.String)
            columns.append(pl.when(text.is_in(list(code.categories))).then(text).alias(code.name))
    return read_customers(inputs.config.data).select("customer_id", *columns)


def _values(inputs: Inputs, segments: Segments, customers: list[str]) -> dict[str, str]:
    """By customer the segment, of those who are in one."""
    known = _attributes(inputs).select("customer_id", segments.attribute).drop_nulls()
    is_asked = pl.col("customer_id").is_in(customers)
    is_segment = pl.col(segments.attribute).is_in(list(segments.values))
    return dict(known.filter(is_asked & is_segment).iter_rows())
