"""Rankings by members of task next_item, on the same questions as every other ranker."""

import logging
from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from lifecycle.artifact.encoder import LateEncoder
from lifecycle.jobs import Progress
from lifecycle.names import SEQUENCE_LLAMA
from lifecycle.recommend.rankers import Rankers
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.judging import TOP
from training.evaluate.recommend.reranked import customers_of
from training.evaluate.recommend.tasks import RankingTask
from training.evaluate.recommend.windows import Learned, Window, fit_rankers

logger = logging.getLogger(__name__)


def may_be_chosen(inputs: Inputs) -> bool:
    """Whether the encoder, if there is one, may be asked for what models are chosen by."""
    manifest = inputs.ranking_members.get(SEQUENCE_LLAMA)
    if manifest is None or not manifest.recipe["learn_validation"]:
        return True
    logger.warning(
        "%s is judged, and cannot be chosen: it was trained with learn_validation", SEQUENCE_LLAMA
    )
    return False


def fitted(inputs: Inputs, window: Window, names: Iterable[str], learned: Learned) -> Rankers:
    """The rankers of these names, fitted to what was known before the window, and the encoder, which is not fitted."""
    folder = inputs.config.ranking_members.get(SEQUENCE_LLAMA)
    encoders = {} if folder is None else {SEQUENCE_LLAMA: LateEncoder(folder, inputs.items)}
    return replace(fit_rankers(window, names, learned), encoders=encoders)


def member_rankings(inputs: Inputs, task: RankingTask, k: int = TOP) -> dict[str, pl.DataFrame]:
    """By name of the member its k best items for every customer of the task, as a ranking, over the full catalogue.

    A member has learned from what lies before its validation alone, so that it may be asked for
    what models are chosen by too. ValueError for one that learned from that.
    """
    rankings: dict[str, pl.DataFrame] = {}
    for name, folder in inputs.config.ranking_members.items():
        if name != SEQUENCE_LLAMA:
            continue
        from lifecycle.llama.next_item.predict import load_next_item_predictor

        if inputs.ranking_members[name].recipe["learn_validation"] and not task.is_final:
            raise ValueError(
                f"ranking_members.{name}: {folder} learned from the purchases by which models are chosen; "
                "take one that was trained without learn_validation"
            )
        predictor = load_next_item_predictor(folder, inputs.items)
        progress = Progress(f"{task.name} ranked by {name}", len(task.baskets), "customers")
        parts = []
        for shard in task.shards():
            known = shard.filter(pl.col("occurred_at") < task.cutoff)
            customers = customers_of(shard, task.baskets)
            ranking = predictor.rank(known, customers, k=k, exclude_seen=inputs.config.exclude_seen)
            parts.append(ranking)
            progress.advance(customers.len())
        rankings[name] = pl.concat(parts)
    return rankings
