"""A task with what rankers are fitted to before its cutoff, and rankers fitted to it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from lightgbm import Booster
from scipy import sparse

from lifecycle.names import RANK_STACK
from lifecycle.recommend.histories import Histories, read_histories
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.retrieval import Retriever, fit_retriever
from lifecycle.recommend.scorers.grids import KINDS, Setting
from lifecycle.recommend.scorers.ranker import Past, Ranker
from lifecycle.recommend.stack.items import (
    ItemFacts,
    category_codes,
    fit_item_facts,
    item_prices,
)
from lifecycle.recommend.stack.rank_stack import MEMBERS, RankStack
from training.evaluate.recommend.tasks import Basket, RankingTask

# Customers that rankers are fitted to; popularity and what is bought together are of all.
MAX_FITTED = 50_000


@dataclass(frozen=True)
class Window:
    """What is known before the cutoff of a task."""

    task: RankingTask
    retriever: Retriever
    past: Past
    items: ItemFacts


@dataclass(frozen=True)
class Learned:
    """What was chosen and learned on earlier windows, apart from what is fitted to the past of each."""

    settings: Mapping[str, Setting]  # by ranker
    trees: Booster | None = None  # of the stack of rankers


def open_window(task: RankingTask, items: pl.DataFrame, seed: int) -> Window:
    """Read what was known at the cutoff, of a seeded sample of customers where they are many."""
    retriever = fit_retriever(task.shards(), items["item_id"], cutoff=task.cutoff)
    histories = past_histories(task, retriever.item_ids, seed)
    facts = facts_of(task, histories, items, retriever.item_ids)
    return Window(task, retriever, Past(histories, retriever.similarity), facts)


def facts_of(
    task: RankingTask, histories: Histories, items: pl.DataFrame, item_ids: pl.Series
) -> ItemFacts:
    """What is known of each item of the sorted catalogue at the cutoff of a task."""
    prices = item_prices(task.shards("amount", "quantity"), item_ids, task.cutoff)
    return fit_item_facts(histories, category_codes(items, item_ids), prices)


def past_histories(task: RankingTask, item_ids: pl.Series, seed: int) -> Histories:
    """What everybody, or a seeded sample of MAX_FITTED customers, bought before the cutoff."""
    return known_histories(task, past_customers(task, seed), item_ids)


def past_customers(task: RankingTask, seed: int) -> pl.Series:
    """Everybody who bought before the cutoff, or a sample of them."""
    names = [
        shard.filter(pl.col("occurred_at") < task.cutoff)["customer_id"].unique()
        for shard in task.shards()
    ]
    return sampled(pl.concat(names).sort().to_list(), MAX_FITTED, seed)


def sampled(customers: Collection[str], size: int, seed: int) -> pl.Series:
    """A seeded sample of so many customers, or all of them, sorted."""
    known = sorted(customers)
    chosen = np.random.default_rng(seed).choice(len(known), min(size, len(known)), replace=False)
    return pl.Series("customer_id", [known[place] for place in sorted(chosen)], dtype=pl.String)


def known_histories(task: RankingTask, customers: pl.Series, item_ids: pl.Series) -> Histories:
    """What these customers bought before the cutoff."""
    is_asked = pl.col("customer_id").is_in(customers.implode())
    theirs = pl.concat([shard.filter(is_asked) for shard in task.shards()])
    return read_histories(theirs, customers, item_ids, cutoff=task.cutoff)


def truth_matrix(
    baskets: Mapping[str, Basket], customers: Iterable[str], item_ids: pl.Series
) -> sparse.csr_array:
    """1 where a customer went on to buy an item of the catalogue: (customers, items)."""
    places = {item: place for place, item in enumerate(item_ids)}
    bought = [
        sorted(places[item] for item in baskets[customer].truth if item in places)
        for customer in customers
    ]
    bounds = np.append(0, np.cumsum([len(items) for items in bought]))
    columns = np.array([place for items in bought for place in items], dtype=np.int64)
    shape = (len(bought), len(item_ids))
    return sparse.csr_array((np.ones(len(columns)), columns, bounds), shape=shape)


def fit_rankers(window: Window, names: Iterable[str], learned: Learned) -> Rankers:
    """The rankers of these names, fitted to what was known before the window."""
    fitted: dict[str, Ranker] = {
        name: KINDS[name].fit(window.past, **learned.settings[name])
        for name in names
        if name in KINDS
    }
    if RANK_STACK in names and learned.trees is not None:
        members = fit_members(window.past, learned.settings, fitted)
        fitted[RANK_STACK] = RankStack(learned.trees, members, window.items)
    return Rankers(window.retriever, fitted)


def fit_members(
    past: Past, settings: Mapping[str, Setting], fitted: Mapping[str, Ranker]
) -> dict[str, Ranker]:
    """The members of the stack, in its order; those already fitted are taken as they are."""
    return {
        name: fitted[name] if name in fitted else KINDS[name].fit(past, **settings[name])
        for name in MEMBERS
    }
