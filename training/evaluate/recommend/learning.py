"""What rankers learn before the window they are asked about: their settings, and the trees of their stack."""

import logging
from collections.abc import Iterable, Mapping

import polars as pl
from lightgbm import Booster
from scipy import sparse

from lifecycle.names import RANK_STACK
from lifecycle.recommend.histories import Histories
from lifecycle.recommend.ordering import rank_scores
from lifecycle.recommend.scorers.grids import KINDS, Setting
from lifecycle.recommend.scorers.ranker import Past, Ranker
from lifecycle.recommend.stack.rank_stack import MEMBERS, Lesson, learn, lesson
from training.evaluate.recommend.judging import TOP, judged_lists
from training.evaluate.recommend.tasks import RankingTask, earlier_tasks
from training.evaluate.recommend.windows import (
    Window,
    facts_of,
    fit_members,
    known_histories,
    past_histories,
    sampled,
    truth_matrix,
)

logger = logging.getLogger(__name__)
TUNED_CUSTOMERS = 2000  # on whom settings are compared
TAUGHT_CUSTOMERS = 4000  # of each window that trees learn from
LEAST_TAUGHT = 50  # with fewer there is nothing to learn


def tune(
    window: Window, names: Iterable[str], *, exclude_seen: bool, seed: int
) -> dict[str, Setting]:
    """By ranker the setting of its grid with the best NDCG@20 on a window; the usual one where nobody bought."""
    asked = set(names) | (set(MEMBERS) if RANK_STACK in names else set())
    customers = sampled(window.task.baskets, TUNED_CUSTOMERS, seed)
    histories = known_histories(window.task, customers, window.retriever.item_ids)
    found: dict[str, Setting] = {}
    for name in (name for name in KINDS if name in asked):
        settings = KINDS[name].settings
        found[name] = settings[0]
        if len(settings) > 1 and len(customers):
            rankers = [KINDS[name].fit(window.past, **setting) for setting in settings]
            scores = [_ndcg(window, one, histories, customers, exclude_seen) for one in rankers]
            found[name] = settings[scores.index(max(scores))]
            logger.info("%s: %s, ndcg@20 %.4f", name, dict(found[name]), max(scores))
    return found


def _ndcg(
    window: Window, ranker: Ranker, histories: Histories, customers: pl.Series, exclude_seen: bool
) -> float:
    ranking = rank_scores(
        ranker.scores(histories),
        histories,
        customers,
        window.retriever.item_ids,
        window.retriever.popular,
        k=TOP,
        exclude_seen=exclude_seen,
    )
    baskets = {customer: window.task.baskets[customer] for customer in customers}
    _, lists = judged_lists(ranking, baskets, {})
    return float(lists.ndcg(TOP).mean())


def learn_trees(
    task: RankingTask, items: pl.DataFrame, settings: Mapping[str, Setting], seed: int
) -> Booster | None:
    """The trees of the stack, from windows that end at or before a task's cutoff; None where nobody can teach."""
    lessons = [
        found
        for earlier in earlier_tasks(task)
        if (found := _lesson(earlier, items, settings, seed)) is not None
    ]
    if not lessons:
        logger.warning("%s is left out: too few customers bought again before it", RANK_STACK)
        return None
    return learn(lessons, MEMBERS, seed)


def _lesson(
    task: RankingTask, items: pl.DataFrame, settings: Mapping[str, Setting], seed: int
) -> Lesson | None:
    customers = sampled(task.baskets, TAUGHT_CUSTOMERS, seed)
    if len(customers) < LEAST_TAUGHT:
        return None
    item_ids = items["item_id"].unique().sort()
    everybody = past_histories(task, item_ids, seed)
    # No member looks at what is bought together, which takes longest to find.
    past = Past(everybody, sparse.csr_array((len(item_ids), len(item_ids))))
    found = lesson(
        known_histories(task, customers, item_ids),
        fit_members(past, settings, {}),
        facts_of(task, everybody, items, item_ids),
        truth_matrix(task.baskets, customers, item_ids),
    )
    logger.info("%s taught by %d customers after %s", RANK_STACK, len(customers), task.cutoff)
    return found if found.bought.any() else None
