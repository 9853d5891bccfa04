"""The stack of rankers: LightGBM's LambdaMART over their scores and what is known of customers and items."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from lightgbm import Booster, Dataset, train
from scipy import sparse

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.files import load_arrays, save_arrays
from lifecycle.recommend.scorers.grids import KINDS
from lifecycle.recommend.scorers.ranker import Ranker, in_blocks, keep_best
from lifecycle.recommend.stack.features import (
    FEATURE_NAMES,
    Candidates,
    codes,
    feature_matrix,
    values_at,
)
from lifecycle.recommend.stack.items import ItemFacts

# How many of the best of each member are candidates; the scores of all are features.
CANDIDATES = {"repurchase": 70, "tifu_knn": 40}
MEMBERS = tuple(CANDIDATES)
PARAMETERS = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 30,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
NUM_TREES = 200
TREES_FILE = "rank_stack.txt"
ITEMS = "rank_stack_items"


@dataclass(frozen=True)
class RankStack:
    """Trees, and what gives them candidates and features."""

    trees: Booster
    members: Mapping[str, Ranker]
    items: ItemFacts

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """See Ranker; the logistic function of the trees' score, as they have no scale of their own."""
        return in_blocks(histories, partial(self._of_block, offered), offered)

    def _of_block(self, offered: np.ndarray | None, block: Histories) -> sparse.csr_array:
        at, inputs = candidates(block, self.members, self.items, offered)
        if not len(at.item):
            return sparse.csr_array((block.num_customers, block.num_items))
        raw = np.asarray(self.trees.predict(inputs, num_threads=1))
        return matrix_of(at, 1 / (1 + np.exp(-raw)), block)


def candidates(
    histories: Histories,
    members: Mapping[str, Ranker],
    items: ItemFacts,
    offered: np.ndarray | None = None,
) -> tuple[Candidates, np.ndarray]:
    """What the trees put in order, and what they read of it: shape (candidates, inputs) float32."""
    scored = {name: member.scores(histories, offered) for name, member in members.items()}
    proposed = [codes(keep_best(scored[name], k)) for name, k in CANDIDATES.items()]
    code = np.unique(np.concatenate(proposed))
    at = Candidates(code // histories.num_items, code % histories.num_items)
    opinions = [values_at(scores, at).astype(np.float32) for scores in scored.values()]
    features = feature_matrix(histories, items, at)
    return at, np.concatenate([features, np.stack(opinions, axis=1)], axis=1)


def matrix_of(at: Candidates, values: np.ndarray, histories: Histories) -> sparse.csr_array:
    """The matrix (customers, items) of values at sorted pairs."""
    bounds = np.searchsorted(at.customer, np.arange(histories.num_customers + 1))
    shape = (histories.num_customers, histories.num_items)
    return sparse.csr_array((values, at.item, bounds), shape=shape)


@dataclass(frozen=True)
class Lesson:
    """Candidates of customers of one window, and which of them each went on to buy."""

    inputs: np.ndarray
    bought: np.ndarray  # (candidates,) bool
    customer: np.ndarray  # (candidates,) ascending


def lesson(
    histories: Histories,
    members: Mapping[str, Ranker],
    items: ItemFacts,
    truth: sparse.csr_array,
) -> Lesson:
    """What the trees learn of a window; `truth` (customers, items) is what they bought in it."""
    at, inputs = candidates(histories, members, items)
    bought = values_at(truth, at) > 0
    has_any = np.bincount(at.customer[bought], minlength=histories.num_customers) > 0
    taught = has_any[at.customer]
    return Lesson(inputs[taught], bought[taught], at.customer[taught])


def learn(lessons: list[Lesson], members: Iterable[str], seed: int) -> Booster:
    """Trees that order the candidates of each customer and window."""
    sizes = [np.unique(one.customer, return_counts=True)[1] for one in lessons]
    data = Dataset(
        np.concatenate([one.inputs for one in lessons]),
        np.concatenate([one.bought for one in lessons]),
        group=np.concatenate(sizes),
        feature_name=[*FEATURE_NAMES, *(f"score_{name}" for name in members)],
    )
    return train(PARAMETERS | {"seed": seed}, data, NUM_TREES)


def save_rank_stack(folder: Path, stack: RankStack) -> None:
    """Write the trees as LightGBM's text, and the members, into an existing folder."""
    stack.trees.save_model(folder / TREES_FILE)
    save_arrays(folder, ITEMS, stack.items)
    for name, member in stack.members.items():
        save_arrays(folder, name, member)


def load_rank_stack(folder: Path) -> RankStack:
    """What `save_rank_stack` wrote."""
    return RankStack(
        trees=Booster(model_file=folder / TREES_FILE),
        members={name: load_arrays(folder, name, KINDS[name].kept_as) for name in MEMBERS},
        items=load_arrays(folder, ITEMS, ItemFacts),
    )
